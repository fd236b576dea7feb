import pytest

from fspop.errors import InvalidSetting, UsageError
from fspop.training.lr_select import METHODS, LRRange, Selection, Sweep

RATES = [10 ** (-5 + i / 10) for i in range(41)]  # 1e-5 to 1e-1
FLAT_UP_DOWN = [0.1] * 15 + [0.5] + [0.9] * 14 + [0.5] + [0.1] * 10
SWEEP = Sweep(RATES, [1.0] * 41, [abs(i - 32) + 1.0 for i in range(41)], FLAT_UP_DOWN)


@pytest.mark.parametrize(
    ("method", "top"), [("max_acc", 16), ("min_loss", 32), ("max_range", 40), ("min_range", 16)]
)
def test_the_top_is_where_the_method_says_and_the_factor_multiplies_its_logarithm(method, top):
    found = Selection(method).pick(SWEEP)
    assert found == LRRange(pytest.approx(RATES[top] ** 2), pytest.approx(RATES[top]))


def test_the_range_scales():
    found = Selection("min_loss", lr_min_factor=1.5, lr_max_scale=0.5).pick(SWEEP)
    assert found.lr_max == pytest.approx(RATES[32] / 2)
    assert found.lr_min == pytest.approx(found.lr_max**1.5)


@pytest.mark.parametrize("method", ["laplace", "sobel"])
def test_edges_bound_the_range_from_where_learning_sets_in_to_where_it_breaks_down(method):
    lr_min, lr_max = Selection(method, lr_trunc=5).pick(SWEEP)
    assert RATES[13] <= lr_min <= RATES[15] and RATES[30] <= lr_max <= RATES[32]


def test_truncation_ignores_edges_at_the_ends():
    accuracies = [*FLAT_UP_DOWN]
    accuracies[1] = accuracies[-2] = 5.0
    spiked = Sweep(RATES, [], [], accuracies)
    assert Selection("sobel", lr_trunc=5).pick(spiked) == Selection("sobel", lr_trunc=5).pick(SWEEP)
    assert Selection("sobel", lr_trunc=0).pick(spiked).lr_min < RATES[4]


def test_the_end_of_a_single_edge_is_the_top():
    accuracies = [0.1] * 20 + [0.5] + [0.9] * 20
    found = Selection("sobel", lr_trunc=5).pick(Sweep(RATES, [], [], accuracies))
    assert found == LRRange(pytest.approx(RATES[21] ** 2), RATES[21])


@pytest.mark.parametrize(("top", "factor"), [(1.0, 2.0), (0.5, 1.0), (0.5, 0.5), (3.0, 2.0)])
def test_an_empty_range_is_refused_naming_the_factor(top, factor):
    sweep = Sweep([top], [1.0], [1.0], [1.0])
    with pytest.raises(InvalidSetting, match=rf"lr_min_factor: got {factor:g},.*lr_max={top:g}"):
        Selection("max_acc", lr_min_factor=factor).pick(sweep)


def test_a_sweep_that_ended_too_early_says_so():
    sweep = Sweep([0.1, 1.0], [2.0, 1.0], [2.0, 1.0], [0.5, 0.9])
    with pytest.raises(InvalidSetting, match=r"lr_max: max_acc picks 1, the last rate of the sw"):
        Selection("max_acc").pick(sweep)


def test_a_factor_below_one_suits_a_rate_above_one():
    sweep = Sweep([4.0], [1.0], [1.0], [1.0])
    assert Selection("max_acc", lr_min_factor=0.5).pick(sweep) == (2.0, 4.0)


@pytest.mark.parametrize("method", METHODS)
def test_no_sweep_is_an_error(method):
    with pytest.raises(UsageError, match=r"call find\(\) first"):
        Selection(method).pick(Sweep())


def test_missing_short_and_flat_accuracies_are_errors_that_say_what_to_do():
    with pytest.raises(UsageError, match="max_acc needs accuracies"):
        Selection("max_acc").pick(Sweep(RATES, [1.0] * 41, [1.0] * 41))
    with pytest.raises(UsageError, match="saw 12 learning rates and lr_trunc=10 leaves none"):
        Selection("sobel").pick(Sweep(RATES[:12], [], [], FLAT_UP_DOWN[:12]))
    with pytest.raises(UsageError, match="the accuracy never changed, so laplace"):
        Selection("laplace").pick(Sweep(RATES, [], [], [0.5] * 41))
