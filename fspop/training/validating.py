"""How a Trainer measures: on the validation set at the ends of epochs, on the test set at last."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from operator import add
from typing import Any

import torch

from fspop.errors import InvalidSetting, TaskError
from fspop.training import random_state
from fspop.training.batches import Hits, count_correct, n_samples, to_device
from fspop.training.feed import read
from fspop.training.history import History
from fspop.training.loaders import Loader
from fspop.training.over_ranks import averaged_metrics, check_in_step, share_buffers, summed
from fspop.training.resuming import Resumable
from fspop.training.stopping import reason_to_stop

_TAGS = {"accuracy": "acc"}
_METRICS = {"acc": "accuracy"}


class Validating(Resumable):
    """Validation, which schedules, stops and the best weights follow, and the test, which nothing
    follows. Measuring disturbs neither the weights nor the random numbers of training.
    """

    def val_epoch(self) -> Mapping[str, float] | None:
        """Loss and accuracy on the validation set; the model is in evaluation mode.

        An override may return other metrics, or log them as "<name>/val", or be `pass`.
        """
        return self.measure(self.val_loader) if self.val_loader is not None else None

    def test_epoch(self) -> Mapping[str, float] | None:
        """The same on the test set, which no decision ever sees."""
        return self.measure(self.test_loader) if self.test_loader is not None else None

    def predict(self, batch: Any) -> tuple[Any, Any]:
        """(outputs, targets) of a batch, by default a pair (inputs, targets).

        Override it for batches of another shape, or with the inputs as targets.
        """
        if not isinstance(batch, list | tuple) or len(batch) != 2:
            raise InvalidSetting(
                f"Trainer.predict: got a batch of type {type(batch).__name__}, but by default it "
                "is a pair (inputs, targets); override predict(batch)"
            )
        return self.network(batch[0]), batch[1]

    @torch.no_grad()
    def measure(self, loader: Loader) -> dict[str, float]:
        """Mean loss, and where targets are classes accuracy, over all of `loader`: each rank
        measures its share of it, and all get the same.
        """
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        loss = torch.zeros((), dtype=exact, device=self.device)
        total, hits = 0, None
        summed = getattr(self.loss_fn, "reduction", "mean") == "sum"
        with self.precision(), _unsmoothed(self.loss_fn), self._by_itself():
            for batch in read(loader, "test" if loader is self.test_loader else "validation"):
                batch = to_device(batch, self.device)
                outputs, targets = self.predict(batch)
                n = n_samples(batch)
                loss += self.loss_fn(outputs, targets).to(exact) * (1 if summed else n)
                total += n
                found = count_correct(outputs, targets, self.loss_fn)
                if found is not None:
                    hits = found if hits is None else Hits(*map(add, hits, found))
        right, counted = (0, 0) if hits is None else (int(hits.right), int(hits.of))
        if self.world_size > 1:
            loss, total, right, counted = _over_ranks(loss, total, right, counted)
        if total == 0:
            raise InvalidSetting("Trainer: the validation or test set gave no batch; fill it")
        metrics = {"loss": loss.item() / total}
        return {**metrics, "accuracy": right / counted} if counted else metrics

    @contextlib.contextmanager
    def _by_itself(self) -> Iterator[None]:
        """Without the other ranks in each forward pass: they may have fewer batches to measure."""
        network = self.network
        if self.world_size > 1:
            self.network = self.model
        try:
            yield
        finally:
            self.network = network

    def count(self, outputs: Any, targets: Any) -> None:
        """Counts what a training batch got right; an epoch's share becomes acc/train."""
        hits = count_correct(outputs, targets, self.loss_fn)
        if hits is not None:
            if self.world_size > 1:
                hits = Hits(*summed(torch.stack(hits)))
            self._right = hits.right + self._right
            self._counted = hits.of + self._counted

    def log_counted(self) -> None:
        """Adds acc/train to the history, where something was counted, and counts anew."""
        if self._counted:
            self.log("acc/train", int(self._right) / int(self._counted))
        self._right = self._counted = 0

    def precision(self) -> Any:
        """The context forward passes run in: autocast where `amp` asks for it."""
        if not self.options.amp:
            return contextlib.nullcontext()
        half = torch.float16 if self.options.amp == "float16" else torch.bfloat16
        return torch.autocast(self.device.type, half)

    def log(self, tag: str, value: Any) -> None:
        """Adds a number or scalar tensor to the history, such as "loss/train" or "acc/val"."""
        self.history.add(tag, self.iteration + self._in_step, value)

    def test(self) -> dict[str, float]:
        """What test_epoch measures now, also added to the history."""
        return self._measured(self.test_epoch, "test")

    @property
    def validates(self) -> bool:
        """Whether there is something to validate with."""
        return self.val_loader is not None or type(self).val_epoch is not Validating.val_epoch

    def evaluate(self) -> dict[str, float]:
        """What val_epoch measures now: loss, and accuracy for classes. Leaves no trace."""
        if not self.validates:
            raise TaskError(
                f"{type(self).__name__}.evaluate: there is no validation set; give val_dataset, or "
                "override val_epoch"
            )
        if self.world_size > 1:
            check_in_step(self.model, type(self).__name__)
        if self._validated is not None and self._validated[0] == self._as_of():
            return dict(self._validated[1])
        with self.unlogged():
            return dict(self._validate())

    @contextlib.contextmanager
    def unlogged(self) -> Iterator[None]:
        """What is logged meanwhile is thrown away."""
        kept, self.history = self.history, History()
        try:
            yield
        finally:
            self.history = kept

    def _validate_if_due(self) -> dict[str, float]:
        every = self.options.val_every
        if not self.validates or not every or (self.epoch + 1) % every:
            return {}
        return self._validate()

    def _validate(self) -> dict[str, float]:
        self.call("before_validation")
        metrics = self._measured(self.val_epoch, "val")
        if not self.alone:  # whose worker evaluates where an epoch's end may just have done so
            self._validated = (self._as_of(), metrics)
        self.call("after_validation", metrics)
        return metrics

    def _as_of(self) -> list[int]:
        """The iteration, and how often each tensor of the model has been changed."""
        tensors = (*self.model.parameters(), *self.model.buffers())
        return [self.iteration, *(0 if t.is_inference() else t._version for t in tensors)]

    def _measured(self, epoch: Callable[[], Any], split: str) -> dict[str, float]:
        random = random_state.capture(str(self.device))
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        if self.world_size > 1:
            share_buffers(self.model)
        try:
            metrics = _as_metrics(epoch())
            if self.world_size > 1:
                metrics = averaged_metrics(metrics, self.device)
            for name, value in metrics.items():
                self.log(f"{_TAGS.get(name, name)}/{split}", value)
        finally:
            if modes[0][1]:
                self.set_modes()
            for module, training in modes:
                module.training = training
            random_state.restore(random, str(self.device))
        found = self.history.at(self.iteration, f"/{split}")
        tags = {tag.removesuffix(f"/{split}"): value for tag, value in found.items()}
        return {_METRICS.get(tag, tag): value for tag, value in tags.items()}

    def _note_best(self, metrics: Mapping[str, float]) -> bool:
        by = "accuracy" if "accuracy" in metrics else "loss"
        value = metrics.get(by, math.nan)
        if not math.isfinite(value):
            return False
        sign = 1 if by == "accuracy" else -1
        if self.best is not None and self.best["by"] == by:
            if sign * value <= sign * self.best["value"]:
                return False
        self.best = {"by": by, "value": value, "iteration": self.iteration}
        return True

    def _check_validates(self) -> None:
        """Refuses options that follow validations where there are none."""
        options = self.options
        following = ("stop_when_acc", "early_stop", "save_best")
        asked = [name for name in following if getattr(options, name)]
        if asked and not (self.validates and options.val_every):
            lacks = "val_every is 0" if self.validates else "there is no validation set"
            raise InvalidSetting(
                f"Trainer.{asked[0]}: got {getattr(options, asked[0])!r}, which follows the "
                f"validations at the ends of epochs, but {lacks}; validate, or leave it out"
            )

    def _check_stop(self, metrics: Mapping[str, float]) -> None:
        options = self.options
        if (options.stop_when_acc or options.early_stop) and "accuracy" not in metrics:
            raise InvalidSetting(
                "Trainer.stop_when_acc, early_stop: need an accuracy, but validation measured "
                f"{', '.join(metrics)}; leave them out, or let val_epoch return an accuracy"
            )
        accuracies = self.history.get("acc/val") or []
        self.stop_reason = reason_to_stop(accuracies, options.stop_when_acc, options.early_stop)


def _over_ranks(
    loss: torch.Tensor, total: int, right: int, counted: int
) -> tuple[torch.Tensor, int, int, int]:
    counts = torch.tensor([total, right, counted], dtype=loss.dtype, device=loss.device)
    sums = summed(torch.cat([loss.reshape(1), counts]))
    total, right, counted = map(int, sums[1:].tolist())
    return sums[0], total, right, counted


@contextlib.contextmanager
def _unsmoothed(loss_fn: Any) -> Iterator[None]:
    """Without label smoothing, so that members who train with different ones compare."""
    smoothing = getattr(loss_fn, "label_smoothing", None)
    if not smoothing:
        yield
        return
    loss_fn.label_smoothing = 0.0
    try:
        yield
    finally:
        loss_fn.label_smoothing = smoothing


def _as_metrics(measured: Any) -> dict[str, float]:
    if measured is None:
        return {}
    if isinstance(measured, Mapping):
        return {str(name): float(value) for name, value in measured.items()}
    return {"score": float(measured)}
