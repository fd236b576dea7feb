import pytest

from fspop.errors import HparamsNotApplied
from fspop.training.in_effect import check_in_effect, same


def test_hparams_are_the_same_up_to_float32():
    assert same(0.1, 0.10000000149) and same([0.9, 0.999], (0.9, 0.999)) and same("a", "a")
    assert not same(0.1, 0.1001) and not same([1], [1, 2]) and not same(True, 0.0)


def test_of_nested_hparams_what_is_in_effect_counts():
    assert same({"head": 0.10000000149}, {"head": 0.1, "unplaced": 3})
    assert not same({"head": 0.2}, {"head": 0.1}) and not same({"head": 0.1}, {})


class Deaf:
    """A task that hears only what it wants to."""

    def effective_hparams(self):
        return {"rate": 0.5}


def test_a_difference_names_the_hparam_both_values_and_the_place_to_look_at():
    check_in_effect(Deaf(), {"rate": 0.5, "other": 1})
    check_in_effect(Deaf(), 7)
    with pytest.raises(HparamsNotApplied, match=r"'rate': assigned 2, but 0\.5 .*test_in_effect"):
        check_in_effect(Deaf(), {"rate": 2})
