"""One sweep of the learning rate: trains with rising rates and notes what it sees."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fspop.errors import InvalidSetting, TaskError
from fspop.training.batches import count_correct, to_device
from fspop.training.lr_select import Sweep
from fspop.training.schedules.optimizers import set_learning_rate

LossFn = Callable[[Any, Any], Tensor]
Predict = Callable[[Any], tuple[Any, Any]]


@dataclass
class Sweeper:
    """Trains `model` for one sweep, which it fills; the settings are those of LRFinder."""

    model: nn.Module
    optimizer: Optimizer
    loss_fn: LossFn
    val_loader: Iterable[Any] | None
    explode_thresh: float
    beta: float
    acc_test: bool
    predict: Predict
    sweep: Sweep = field(default_factory=Sweep)
    average: float = 0.0
    best: float = math.inf

    def step(self, lr: float, batch: Any) -> bool:
        """Notes loss and accuracy, then updates with `lr`; False once the loss has exploded."""
        set_learning_rate(self.optimizer, lr)
        outputs, targets = self.predict(_on_device_of(self.model, batch))
        loss = self.loss_fn(outputs, targets)
        if not math.isfinite(loss.item()):
            self._check_begun(lr, loss.item())
            return False
        if self.acc_test:
            self.sweep.accuracies.append(self._accuracy(outputs, targets))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return self._note(lr, loss.item())

    def _check_begun(self, lr: float, loss: float) -> None:
        if not self.sweep.losses:
            raise TaskError(
                f"LRFinder: the first loss is {loss} at lr={lr:g}; check the model and its data"
            )

    def _note(self, lr: float, loss: float) -> bool:
        sweep = self.sweep
        sweep.learning_rates.append(lr)
        sweep.losses.append(loss)
        self.average = self.beta * self.average + (1 - self.beta) * loss
        smooth = self.average / (1 - self.beta ** len(sweep.losses))
        sweep.smooth_losses.append(smooth)
        self.best = min(self.best, smooth)
        return self.best <= 0 or smooth <= self.explode_thresh * self.best

    def _accuracy(self, outputs: Tensor, targets: Tensor) -> float:
        if self.val_loader is None:
            right, of = self._count(outputs, targets)
            return right / max(of, 1)
        self.model.eval()
        correct = total = 0
        with torch.no_grad():
            for batch in self.val_loader:
                outputs, targets = self.predict(_on_device_of(self.model, batch))
                right, of = self._count(outputs, targets)
                correct, total = correct + right, total + of
        self.model.train()
        if total == 0:
            raise InvalidSetting("LRFinder.find: val_loader gave no batch; leave it out or fill it")
        return correct / total

    def _count(self, outputs: Any, targets: Any) -> tuple[int, int]:
        hits = count_correct(outputs, targets, self.loss_fn)
        if hits is None:
            raise InvalidSetting(
                f"LRFinder.acc_test: got True, but there is no accuracy of outputs of shape "
                f"{_shape(outputs)} for targets of shape {_shape(targets)}; set it False and "
                "lr_select_method to min_loss"
            )
        return int(hits.right), int(hits.of)


def rising(
    loader: Iterable[Any], lr_min: float, lr_max: float, num_epochs: int, max_batches: int
) -> Iterator[tuple[float, Any]]:
    """Batches with their learning rates, up to and including lr_max; see LRFinder."""
    n = _length(loader, max_batches)
    if n == 0:
        raise InvalidSetting(
            f"LRFinder.find: got loader={loader!r} of length 0 or unknown length; give one with "
            "batches, or max_batches where it has no length"
        )
    k = 0
    for _ in range(num_epochs):
        for _, batch in zip(range(max_batches or n), loader, strict=False):
            if k > n:
                return
            yield lr_min * (lr_max / lr_min) ** (k / n), batch
            k += 1


def _length(loader: Any, max_batches: int) -> int:
    try:
        return len(loader)
    except TypeError:  # also what a DataLoader raises whose data set is a stream
        return max_batches


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def pair(model: nn.Module, batch: Any) -> tuple[Any, Any]:
    """(outputs, targets) of a batch that is a pair (inputs, targets)."""
    if not isinstance(batch, list | tuple) or len(batch) != 2:
        raise InvalidSetting(
            f"LRFinder.find: got a batch of type {type(batch).__name__}, but batches must be "
            "pairs (inputs, targets); wrap the loader, or give predict"
        )
    return model(batch[0]), batch[1]


def _on_device_of(model: nn.Module, batch: Any) -> Any:
    return to_device(batch, next((p.device for p in model.parameters()), torch.device("cpu")))
