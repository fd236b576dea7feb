"""The Trainer: brings a model and a data set to the end of its training, alone or in a population.

The loop is fit → run_epoch → train_epoch → train_step, and val_epoch at the end of an epoch. Every
one may be overridden; train_epoch and val_epoch may even be `pass`.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from fspop.errors import InvalidSetting
from fspop.training.batches import to_device
from fspop.training.feed import END
from fspop.training.history import History
from fspop.training.lr_finder import LRFinder
from fspop.training.over_ranks import averaged
from fspop.training.sinks import Lines, ProgressBar, TensorBoardSink
from fspop.training.task import Context
from fspop.training.validating import Validating


class Trainer(Validating):
    """Trains `model` on `train_dataset`; see docs/training.md for options and examples.

    Alone: `Trainer(model, train_dataset=…).fit()`, which writes checkpoints; `resume()` before it
    goes on from the newest. In a population it is a Task: the worker calls `setup`, `train`,
    `evaluate`, saves its state and assigns hparams; nothing is written or stopped by itself then.

    `iteration` counts batches over all epochs, `epoch` and `batch` say where it stands.
    """

    # -- the loop
    def fit(self) -> History:
        """Trains until `num_epochs`, or a stop, then evaluates on the test set; returns `history`.

        Does nothing where that point is reached already.
        """
        self._check_validates()
        with self._shown():
            self._begin()
            for each in self._display if self.stop_reason else []:
                each.on_stop(self, self.stop_reason)
            while self.epoch < self.options.num_epochs and not self.stop_reason:
                self.run_epoch()
            if self.iteration and not self.history.at(self.iteration, "/test"):
                self.test()
                self._due += ("save_history",)
                self._write_due()
        return self.history

    def run_epoch(self) -> None:
        """Trains to the end of the epoch and validates; in `train(n)` perhaps only a part of it."""
        self._begin()
        if self.batch == 0:
            self.call("before_epoch")
        self.set_modes()
        self._paused = False
        self.train_epoch()
        if self.batch == 0 and not self._paused:
            self._count_step(ends_epoch=True)  # an epoch without batches() is one step
        if not self._paused or self.feed.at_end:
            self._end_epoch()

    def train_epoch(self) -> None:
        """Trains on all of `batches()`; override it for loops of another shape."""
        for batch in self.batches():
            loss = self.train_step(batch)
            if loss is not None:
                self.log("loss/train", loss if self.world_size == 1 else averaged(loss.clone()))

    def train_step(self, batch: Any) -> Tensor | None:
        """Trains on one batch and returns its loss for the history, or None."""
        with self.precision():
            outputs, targets = self.predict(batch)
            loss: Tensor = self.loss_fn(outputs, targets)
        self.optimize(loss)
        self.count(outputs, targets)
        return loss.detach()

    def optimize(self, loss: Tensor) -> None:
        """Backward, and at every `accumulate_steps`-th call clipping and an optimizer step."""
        if not loss.requires_grad:
            raise InvalidSetting(
                "Trainer.optimize: the loss depends on no parameter that may change; unfreeze some "
                "layers, or look at predict and the loss"
            )
        steps = self.options.accumulate_steps
        self.scaler.scale(loss if steps == 1 else loss / steps).backward()  # type: ignore[no-untyped-call]
        self._window += 1
        if self._window < steps:
            return
        self._window = 0
        if self.options.clip_grad_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()

    # -- what the loop is made of
    def batches(self) -> Iterator[Any]:
        """The batches of this epoch that are left, on the device; each is counted once used.

        Ends early where `train(n)` has had its n: code after the loop then runs once more later.
        """
        self._begin()
        while self._budget != 0:
            feed = self.feed  # which the body may replace
            batch = feed.fetch()
            if batch is END:
                return
            batch = to_device(batch, self.device)
            self.schedules.apply(self.iteration, self.epoch)
            self.call("before_step", batch)
            self.keep_still()
            self._in_step = 1
            try:
                yield batch
                feed.done()
                self._in_step = 0
            finally:
                self._held.let_go()
                if self._in_step:  # broken off: the batch was not used
                    self._in_step = 0
                    feed.drop()
            self._count_step()
        self._paused = True

    def _count_step(self, ends_epoch: bool = False) -> None:
        self.iteration += 1
        self._budget -= self._budget > 0
        every = self.options.print_every
        if self.schedules and every and self.iteration % every == 0:
            for tag, value in self.schedules.values().items():
                self.log(tag, value)
        self.call("after_step")
        if self.alone:
            if self.options.save_every > 0 and self.iteration % self.options.save_every == 0:
                self._due += ("_begin_save",)
            if not ends_epoch:  # else once the next epoch is what comes next
                self._write_due()

    def _end_epoch(self) -> None:
        self.log_counted()
        metrics = self._validate_if_due()
        if metrics:
            self.schedules.observe(metrics.get("accuracy"), metrics.get("loss"))
            improved = self._note_best(metrics)
            if self.alone:
                self._check_stop(metrics)
        self.feed.next_epoch()
        self.call("after_epoch")
        if self.stop_reason:
            self.call("on_stop", self.stop_reason)
        if self.alone:
            self._write_files(bool(metrics) and improved)

    def _write_files(self, improved: bool) -> None:
        if self.options.save_every < 0:
            self._due += ("_begin_save",)
        if improved and (self.options.save_best or self.options.save_every > 0):
            self._due = ("save_best", *self._due)  # before a checkpoint that counts it as the best
        self._due += ("save_history",)
        self._write_due()

    def save_history(self) -> None:
        """Writes `<name>_history.json`, unless the option save_hist is False."""
        if self.options.save_hist:
            self.history.save(self.checkpoints.history_path)

    @contextlib.contextmanager
    def _shown(self) -> Iterator[None]:
        """Shows progress to a person, on a terminal as a bar, while fit() runs."""
        shown: list[Lines] = []
        if self.options.verbose:
            bar = self.options.progress_bar
            wants_bar = sys.stderr.isatty() if bar is None else bar
            shown = [ProgressBar() if wants_bar else Lines()]
        self._display = shown
        self.call("before_fit")
        self._in_fit = True
        try:
            yield
        finally:
            self._in_fit = False
            self._display = []
            try:
                self._finish_save()
            finally:
                self.checkpoints.close()
                for each in (*self._callbacks, *shown):
                    each.after_fit(self)

    def find_lr(self, **settings: Any) -> LRFinder:
        """Sweeps the learning rate over the training data and leaves no trace.

        The finder's `range()`, `plot(path)` and `schedule(kind)` say what it saw; the last goes to
        `set_options(lr_scheduler=…)`. `settings` are those of LRFinder. Batches are taken apart by
        `predict`; the option tb_writer gets the lr_find/* scalars.
        """
        finder = LRFinder(**settings)
        with self.unlogged():
            finder.find(
                self.model,
                self.optimizer,
                self.loss_fn,
                self.train_loader,
                self.val_loader,
                self.options.tb_writer,
                self._predict_precisely,
            )
        return finder

    def _predict_precisely(self, batch: Any) -> tuple[Any, Any]:
        with self.precision():
            return self.predict(batch)

    # -- where it stands
    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.feed.epoch

    @property
    def batch(self) -> int:
        """Batches done in this epoch."""
        return self.feed.batch

    @property
    def step(self) -> int:
        """Batches done over all epochs: `iteration`, as a population calls it."""
        return self.iteration

    @property
    def batches_per_epoch(self) -> int | None:
        """How many batches an epoch has; None where the loader does not know."""
        try:
            return len(self.train_loader)  # type: ignore[arg-type]
        except TypeError:
            return None

    @property
    def alone(self) -> bool:
        """Whether no population's worker drives this trainer."""
        return self.context is None

    def scalars(self) -> dict[str, float]:
        """What charts of a population show of this member beside its evaluation: learning rates,
        and the latest point of each series in the history.
        """
        latest = {tag: self.history.last(tag) for tag in self.history.tags()}
        return {**super().scalars(), **{tag: point[1] for tag, point in latest.items() if point}}

    # -- the verbs a population's worker calls
    def setup(self, context: Context) -> None:
        """Makes every part for this member: on its device, in the order its seed gives the data."""
        self.context = context
        self.hparams = dict(context.hparams) if isinstance(context.hparams, Mapping) else {}
        if context.rank:  # one rank writes
            self._callbacks = [c for c in self._callbacks if not isinstance(c, TensorBoardSink)]
        self.build()

    def train(self, n_steps: int) -> None:
        """Trains exactly `n_steps` batches, over the ends of epochs; stops and files are fit's."""
        self.hold()
        self._budget = n_steps
        try:
            while self._budget:
                self.run_epoch()
        finally:
            self._budget = -1
