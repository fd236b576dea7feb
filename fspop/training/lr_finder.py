"""The learning-rate range test: train with ever larger rates, see where it learns, undo it all.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from fspop.errors import Damaged, InvalidSetting, UsageError
from fspop.training.durable import replace_file
from fspop.training.lr_select import METHODS, NEEDS_ACCURACY, LRRange, Selection, Sweep
from fspop.training.lr_sweep import LossFn, Predict, Sweeper, pair, rising
from fspop.training.no_trace import no_trace
from fspop.training.schedules import Schedule, make_schedule
from fspop.training.schedules.checks import check_choice, check_number, check_whole
from fspop.training.schedules.named import schedule_class
from fspop.training.schedules.plots import new_figure, save_figure

FORMAT = 1
_TAGS = {
    "learning_rates": "learning_rate",
    "losses": "loss",
    "smooth_losses": "smooth_loss",
    "accuracies": "accuracy",
}
_ENDS = {
    "lr_min": "lr_min",
    "final": "lr_min",
    "lr_max": "lr_max",
    "initial": "lr_max",
    "lr": "lr_max",
}


@dataclass(eq=False)
class LRFinder:
    """Sweeps the learning rate on a logarithmic scale and picks a range from what it saw.

    Batch k trains with lr_min · (lr_max/lr_min)^(k/n), n = len(loader), so one pass over the loader
    goes through the range. The sweep ends at lr_max, after `num_epochs` passes of at most
    `max_batches` batches each (0: all), or where the loss explodes: it is not finite, or the smooth
    loss is above `explode_thresh` times the best one (while that is above 0). Smooth is
    avg_k / (1 - beta^(k+1)) with avg_k = beta · avg_(k-1) + (1 - beta) · loss_k.

    Loss and accuracy of batch k are those before its update. The accuracy is that on all of
    `val_loader` where `find` is given one, else on the batch; `acc_test` False spares it.
    `lr_select_method` (max_acc, min_loss, max_range, min_range, laplace, sobel), `lr_min_factor`,
    `lr_max_scale`, `lr_trunc`: see `fspop.training.lr_select.Selection`.
    """

    num_epochs: int = 8
    lr_min: float = 1e-6
    lr_max: float = 1.0
    explode_thresh: float = 4.0
    beta: float = 0.999
    lr_min_factor: float = 2.0
    lr_max_scale: float = 1.0
    lr_select_method: str = "max_acc"
    lr_trunc: int = 10
    max_batches: int = 0
    acc_test: bool = True
    sweep: Sweep = field(init=False, repr=False, default_factory=Sweep)

    def __post_init__(self) -> None:
        self._check_numbers()
        check_choice("LRFinder", "lr_select_method", self.lr_select_method, METHODS)
        if self.lr_select_method in NEEDS_ACCURACY and not self.acc_test:
            raise InvalidSetting(
                f"LRFinder.acc_test: got False, but lr_select_method={self.lr_select_method!r} "
                "needs accuracies; set it True or select by min_loss or max_range"
            )

    def _check_numbers(self) -> None:
        check_number("LRFinder", "lr_max", self.lr_max, above=0)
        check_number("LRFinder", "lr_min", self.lr_min, above=0, below=self.lr_max)
        check_number("LRFinder", "explode_thresh", self.explode_thresh, above=1)
        check_number("LRFinder", "beta", self.beta, least=0, below=1)
        check_number("LRFinder", "lr_min_factor", self.lr_min_factor, above=0)
        check_number("LRFinder", "lr_max_scale", self.lr_max_scale, above=0)
        check_whole("LRFinder", "num_epochs", self.num_epochs, 1)
        check_whole("LRFinder", "lr_trunc", self.lr_trunc)
        check_whole("LRFinder", "max_batches", self.max_batches)

    def find(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss_fn: LossFn,
        loader: Iterable[Any],
        val_loader: Iterable[Any] | None = None,
        writer: Any = None,
        predict: Predict | None = None,
    ) -> LRRange:
        """Sweeps and returns the range; model, optimizer, loaders and random state end as before.

        Batches go to the model's device. `predict(batch)` gives (outputs, targets), by default for
        batches of (inputs, targets) what the model makes of them; `loss_fn(outputs, targets)` gives
        a scalar, and its own state, if it is a module, is restored too. All parameter groups train
        with the same rate. `writer` takes the lr_find/* scalars, as a SummaryWriter does. Raises
        InvalidSetting for an empty loader, TaskError where the first loss is not finite.
        """
        sweeper = Sweeper(
            model,
            optimizer,
            loss_fn,
            val_loader,
            self.explode_thresh,
            self.beta,
            self.acc_test,
            predict or partial(pair, model),
        )
        modules = [each for each in (model, loss_fn) if isinstance(each, nn.Module)]
        with no_trace(modules, optimizer, (loader, val_loader)):
            model.train()
            for lr, batch in self._rising(loader):
                if not sweeper.step(lr, batch):
                    break
        self.sweep = sweeper.sweep
        if writer is not None:
            self._write(writer)
        return self.range()

    def _rising(self, loader: Iterable[Any]) -> Any:
        return rising(loader, self.lr_min, self.lr_max, self.num_epochs, self.max_batches)

    def range(self, method: str | None = None) -> LRRange:
        """The range picked from the last sweep, also by another method than the finder's."""
        chosen = check_choice("LRFinder", "range(method)", method or self.lr_select_method, METHODS)
        selection = Selection(chosen, self.lr_min_factor, self.lr_max_scale, self.lr_trunc)
        return selection.pick(self.sweep)

    def schedule(self, kind: type[Schedule] | str, **settings: Any) -> Schedule:
        """A schedule of this class or name over the range; `settings` are its others.

        lr_min and lr_max go to the settings of those names, or to `final` and to `initial` or `lr`.
        """
        cls = schedule_class(kind)
        known = {f.name for f in fields(cls) if f.init} & _ENDS.keys()
        if not known:
            raise InvalidSetting(f"LRFinder.schedule: {cls.__name__} has no setting for a range")
        found = self.range()._asdict()
        return make_schedule(cls, **{**{each: found[_ENDS[each]] for each in known}, **settings})

    def plot(self, path: str | PathLike[str]) -> None:
        """Draws smooth loss and accuracy over the learning rate into an image.

        The range is shaded where there is one: without, the picture shows why.
        """
        found = self._maybe_range()
        curves = {"smooth loss": self.sweep.smooth_losses, "accuracy": self.sweep.accuracies}
        shown = {label: values for label, values in curves.items() if values}
        figure = new_figure(figsize=(8, 3.5 * len(shown)))
        for row, (label, values) in enumerate(shown.items(), 1):
            axes = figure.add_subplot(len(shown), 1, row, xscale="log", ylabel=label)
            axes.plot(self.sweep.learning_rates, values)
            axes.set_xlabel("learning rate")
            if found is not None:
                axes.axvspan(*found, alpha=0.2, label=f"{found.lr_min:.2g} to {found.lr_max:.2g}")
                axes.legend()
        save_figure(figure, path)

    def _maybe_range(self) -> LRRange | None:
        try:
            return self.range()
        except (InvalidSetting, UsageError):
            if not self.sweep.learning_rates:
                raise
            return None

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def save(self, path: str | PathLike[str]) -> None:
        """Writes settings and sweep as JSON; a reader sees the old file or the new, never half."""
        data = {"format": FORMAT, "settings": self.settings(), "sweep": asdict(self.sweep)}
        replace_file(Path(path), json.dumps(data, allow_nan=False, indent=1).encode())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "LRFinder":
        """The finder that `save` wrote; Damaged where the file holds no such thing."""
        text = Path(path).read_bytes()
        try:
            data = json.loads(text)
            finder = cls(**data["settings"])
            finder.sweep = Sweep(**data["sweep"])
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{path}: not a saved LRFinder ({error}); sweep again") from error
        return finder

    def _write(self, writer: Any) -> None:
        for field_name, values in asdict(self.sweep).items():
            for k, value in enumerate(values):
                writer.add_scalar(f"lr_find/{_TAGS[field_name]}", value, k)


LogFinder = LRFinder
"""The other name the range test goes by: its scale is logarithmic."""
