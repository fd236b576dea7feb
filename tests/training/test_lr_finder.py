import math
from itertools import pairwise

import pytest
import torch
from tensorboardX import SummaryWriter
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from fspop.errors import Damaged, InvalidSetting, TaskError, UsageError
from fspop.training.lr_finder import LogFinder, LRFinder
from fspop.training.schedules import DecayToEpoch, EpochSet, Triangular, WarmRestart

SPAN = {"lr_min": 1e-4, "lr_max": 0.9, "beta": 0.5}


def problem(n=160, batch_size=4, generator=None):
    """Four noisy clusters, a small network with dropout and batch norm, a shuffled loader."""
    torch.manual_seed(0)
    labels = torch.arange(n) % 4
    x = nn.functional.one_hot(labels, 4) * 3.0 + torch.randn(n, 4)
    model = nn.Sequential(
        nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 4)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    loader = DataLoader(TensorDataset(x, labels), batch_size, shuffle=True, generator=generator)
    return model, optimizer, nn.CrossEntropyLoss(), loader


class Stream(IterableDataset):
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


def train(model, optimizer, loss_fn, loader):
    """Losses of one epoch: they depend on all that a sweep could have touched."""
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_after_a_sweep_equals_training_without_to_the_bit():
    undisturbed, swept = problem(), problem()
    torch.manual_seed(1)
    wanted = train(*undisturbed) + train(*undisturbed)
    torch.manual_seed(1)
    found = train(*swept)
    LRFinder(**SPAN).find(*swept)
    assert found + train(*swept) == wanted
    for a, b in zip(undisturbed[0].parameters(), swept[0].parameters(), strict=True):
        assert torch.equal(a, b)


class RunningLoss(nn.Module):
    """A loss with a state of its own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, outputs, targets):
        self.seen += 1
        return nn.functional.cross_entropy(outputs, targets)


def test_loss_and_loaders_are_left_as_they_were():
    model, optimizer, _, loader = problem(generator=torch.Generator().manual_seed(3))
    *_, val_loader = problem(generator=torch.Generator().manual_seed(4))
    before = [each.generator.get_state() for each in (loader, val_loader)]
    loss_fn = RunningLoss()
    LRFinder(**SPAN, max_batches=3).find(model, optimizer, loss_fn, loader, val_loader)
    after = [each.generator.get_state() for each in (loader, val_loader)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert loss_fn.seen == 0


def test_a_sweep_that_raises_leaves_no_trace_either():
    undisturbed, swept = problem(), problem()
    calls = []

    def failing(outputs, targets):
        calls.append(1)
        if len(calls) == 7:
            raise OSError("a disk went away")
        return nn.functional.cross_entropy(outputs, targets)

    torch.manual_seed(1)
    with pytest.raises(OSError, match="a disk went away"):
        LRFinder(**SPAN).find(*swept[:2], failing, swept[3])
    found = train(*swept)
    torch.manual_seed(1)
    assert found == train(*undisturbed)


def test_rates_rise_by_the_documented_factor_and_end_at_lr_max():
    finder = LRFinder(lr_min=1e-4, lr_max=0.9, lr_select_method="min_loss")
    _, lr_max = finder.find(*problem())
    rates, factor = finder.sweep.learning_rates, (0.9 / 1e-4) ** (1 / 40)
    assert len(rates) == 41 and rates[0] == 1e-4 and rates[-1] == pytest.approx(0.9)
    assert [b / a for a, b in pairwise(rates)] == pytest.approx([factor] * 40)
    assert lr_max in rates


def test_losses_are_smoothed_by_the_documented_average():
    finder = LRFinder(lr_min=1e-6, lr_max=1e-3, beta=0.9)
    finder.find(*problem())
    average = 0.0
    for k, loss in enumerate(finder.sweep.losses):
        average = 0.9 * average + 0.1 * loss
        assert finder.sweep.smooth_losses[k] == pytest.approx(average / (1 - 0.9 ** (k + 1)))


def test_the_range_lies_where_this_network_learns():
    model, optimizer, loss_fn, loader = problem()
    found = LRFinder(**SPAN, lr_select_method="min_loss").find(model, optimizer, loss_fn, loader)
    assert 0 < found.lr_min < found.lr_max < 0.9 and found.lr_max > 1e-3


def test_the_sweep_stops_where_the_loss_explodes():
    exploding = LRFinder(lr_min=1e-3, lr_max=1e6, beta=0.0, lr_select_method="min_loss")
    exploding.find(*problem())
    smooth = exploding.sweep.smooth_losses
    assert len(smooth) < 41
    assert all(value <= 4 * min(smooth[: i + 1]) for i, value in enumerate(smooth[:-1]))


def test_a_loss_that_stops_being_finite_ends_the_sweep_without_being_noted():
    finder = LRFinder(lr_min=0.1, lr_max=1e30, explode_thresh=1e300, lr_select_method="min_loss")
    finder.lr_min_factor = 0.5
    model, optimizer, _, loader = problem()

    def blowing_up(outputs, targets):
        scale = 1.0 if optimizer.param_groups[0]["lr"] < 10 else math.nan
        return nn.functional.cross_entropy(outputs, targets) * scale

    with pytest.raises(InvalidSetting, match="lr_min_factor"):
        finder.find(model, optimizer, blowing_up, loader)
    assert finder.sweep.learning_rates and max(finder.sweep.learning_rates) < 10
    assert all(math.isfinite(loss) for loss in finder.sweep.losses)


def test_a_first_loss_that_is_not_finite_is_an_error():
    model, optimizer, _, loader = problem()
    with pytest.raises(TaskError, match="the first loss is nan at lr=1e-06"):
        LRFinder().find(model, optimizer, lambda a, b: a.sum() * math.nan, loader)


def test_few_batches_a_pass_take_more_passes_up_to_num_epochs():
    finder = LRFinder(**SPAN, max_batches=10, explode_thresh=1e9)
    finder.find(*problem())
    assert len(finder.sweep.losses) == 41
    finder.num_epochs = 3
    finder.find(*problem())
    assert len(finder.sweep.losses) == 30


def test_accuracy_is_that_of_the_validation_set_where_there_is_one():
    *_, loss_fn, loader = problem()
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = loader.dataset.tensors
    first = (model[0](x).argmax(1) == y).float().mean().item()
    modes = []

    def noting(outputs, targets):
        modes.append(model.training)
        return loss_fn(outputs, targets)

    finder = LRFinder(**SPAN)
    finder.find(model, optimizer, noting, loader, val_loader=[(x[:90], y[:90]), (x[90:], y[90:])])
    assert len(modes) > 2 and all(modes)
    assert finder.sweep.accuracies[0] == pytest.approx(first)
    assert len(finder.sweep.accuracies) == len(finder.sweep.losses)
    assert max(finder.sweep.accuracies) > 0.8


def test_one_batch_and_a_stream_without_length_work():
    finder = LRFinder(**SPAN)
    finder.find(*problem(n=4))
    assert finder.sweep.learning_rates == pytest.approx([1e-4, 0.9])
    *rest, loader = problem()
    LRFinder(**SPAN, max_batches=20).find(*rest, (batch for batch in loader))
    LRFinder(**SPAN, max_batches=20).find(*rest, DataLoader(Stream(loader.dataset), 4))


def test_loaders_and_batches_that_cannot_work_are_named():
    *rest, loader = problem()
    with pytest.raises(InvalidSetting, match="length 0 or unknown length"):
        LRFinder().find(*rest, [])
    with pytest.raises(InvalidSetting, match="length 0 or unknown length"):
        LRFinder().find(*rest, (batch for batch in loader))
    with pytest.raises(InvalidSetting, match="a batch of type Tensor"):
        LRFinder().find(*rest, [torch.ones(4, 4)])
    with pytest.raises(InvalidSetting, match="val_loader gave no batch"):
        LRFinder().find(*rest, loader, val_loader=[])


def test_without_classes_the_accuracy_test_says_how_to_do_without():
    model = nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters())
    data = [(torch.randn(4, 4), torch.randn(4, 1)) for _ in range(9)]
    with pytest.raises(InvalidSetting, match=r"acc_test: got True.*\(4, 1\)"):
        LRFinder().find(model, optimizer, nn.MSELoss(), data)
    finder = LRFinder(**SPAN, acc_test=False, lr_select_method="min_loss")
    assert finder.find(model, optimizer, nn.MSELoss(), data).lr_max <= 0.9
    assert finder.sweep.accuracies == []


BAD = [
    ({"num_epochs": 0}, r"num_epochs: got 0"),
    ({"lr_min": 2.0}, r"lr_min: got 2\.0"),
    ({"lr_max": 0}, r"lr_max: got 0"),
    ({"explode_thresh": 1}, r"explode_thresh: got 1"),
    ({"beta": 1.0}, r"beta: got 1\.0"),
    ({"lr_min_factor": -1}, r"lr_min_factor: got -1"),
    ({"lr_max_scale": 0}, r"lr_max_scale: got 0"),
    ({"lr_select_method": "best"}, r"lr_select_method: got 'best'.*sobel"),
    ({"lr_trunc": -1}, r"lr_trunc: got -1"),
    ({"max_batches": 0.5}, r"max_batches: got 0\.5"),
    ({"acc_test": False}, r"acc_test: got False, but lr_select_method='max_acc'"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_a_setting_that_cannot_work_is_named_with_its_value(settings, message):
    with pytest.raises(InvalidSetting, match=rf"LRFinder\.{message}"):
        LRFinder(**settings)


@pytest.fixture(scope="module")
def swept():
    finder = LogFinder(**SPAN)
    finder.find(*problem())
    return finder


def test_the_range_goes_to_a_schedule(swept):
    lr_min, lr_max = swept.range()
    triangular = swept.schedule(Triangular, stepsize=7)
    assert (triangular.lr_min, triangular.lr_max, triangular.stepsize) == (lr_min, lr_max, 7)
    assert triangular.value(7) == pytest.approx(lr_max)
    assert isinstance(swept.schedule("WarmRestart"), WarmRestart)
    decay = swept.schedule(DecayToEpoch, final=0.0)
    assert (decay.initial, decay.final) == (lr_max, 0.0)
    with pytest.raises(InvalidSetting, match="EpochSet has no setting for a range"):
        swept.schedule(EpochSet)


def test_a_range_can_be_selected_again_without_another_sweep(swept):
    found = {swept.range(method) for method in ("max_acc", "min_loss", "max_range", "min_range")}
    assert len(found) > 1 and all(lr_min < lr_max for lr_min, lr_max in found)


def test_a_saved_finder_is_loaded_with_settings_and_sweep(swept, tmp_path):
    swept.save(tmp_path / "finder.json")
    again = LRFinder.load(tmp_path / "finder.json")
    assert again.settings() == swept.settings() and again.sweep == swept.sweep
    assert again.range() == swept.range()
    assert [path.name for path in tmp_path.iterdir()] == ["finder.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": {"zzz": 1}, "sweep": {}}', "\xff"])
def test_a_file_that_is_no_saved_finder_is_refused_by_name(text, tmp_path):
    path = tmp_path / "finder.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(Damaged, match=r"finder\.json: not a saved LRFinder"):
        LRFinder.load(path)


def test_the_sweep_is_drawn(swept, tmp_path):
    pytest.importorskip("matplotlib")
    swept.plot(tmp_path / "finder.png")
    assert (tmp_path / "finder.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_without_a_range_is_drawn_too_but_no_sweep_is_not(swept, tmp_path):
    pytest.importorskip("matplotlib")
    pointless = LRFinder(lr_min_factor=1.0)
    with pytest.raises(UsageError, match="no sweep"):
        pointless.plot(tmp_path / "none.png")
    pointless.sweep = swept.sweep
    pointless.plot(tmp_path / "some.png")
    assert [path.name for path in tmp_path.iterdir()] == ["some.png"]


def test_scalars_reach_a_writer(tmp_path):
    seen = {}

    class Writer(SummaryWriter):
        def add_scalar(self, tag, value, step, *args, **kwargs):
            seen.setdefault(tag, []).append((step, value))
            super().add_scalar(tag, value, step, *args, **kwargs)

    finder = LRFinder(**SPAN)
    with Writer(str(tmp_path)) as writer:
        finder.find(*problem(), writer=writer)
    sweep = finder.sweep
    assert seen["lr_find/loss"] == list(enumerate(sweep.losses))
    assert seen["lr_find/accuracy"] == list(enumerate(sweep.accuracies))
    assert seen.keys() >= {"lr_find/learning_rate", "lr_find/smooth_loss"}
