"""Who shows what training measured: TensorBoard, printed lines, a progress bar.

All of them read the trainer's history and measure nothing themselves.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from fspop.training.callbacks import Callback

if TYPE_CHECKING:
    from fspop.training.resuming import Resumable
    from fspop.training.trainer import Trainer

BAR_WIDTH = 24


class TensorBoardSink(Callback):
    """Writes every point of the history, once, to a writer with add_scalar(tag, value, step).

    What was loaded from a checkpoint counts as written, so no chart runs backwards: all of it is
    written, and flushed, before a checkpoint is taken.
    """

    def __init__(self, writer: Any):
        self.writer = writer
        self._written: dict[str, int] = {}

    def after_step(self, trainer: Trainer) -> None:
        """Writes at each `print_every`-th iteration."""
        if trainer.iteration % max(1, trainer.options.print_every) == 0:
            self.write(trainer)

    def after_epoch(self, trainer: Trainer) -> None:
        """Writes what validation added."""
        self.write(trainer)

    def after_fit(self, trainer: Trainer) -> None:
        """Writes the rest."""
        self.flush(trainer)

    def flush(self, trainer: Resumable) -> None:
        """Writes what is new, and has the writer pass it on."""
        self.write(trainer)
        if callable(getattr(self.writer, "flush", None)):
            self.writer.flush()

    def on_load(self, trainer: Trainer) -> None:
        """Skips what is in the history already."""
        self._written = {tag: trainer.history.count(tag) for tag in trainer.history.tags()}

    def write(self, trainer: Resumable) -> None:
        """Writes what is new."""
        for tag in trainer.history.tags():
            for iteration, value in trainer.history.points(tag, self._written.get(tag, 0)):
                self.writer.add_scalar(tag, value, iteration)
            self._written[tag] = trainer.history.count(tag)


class Lines(Callback):
    """Prints a line at each `print_every`-th iteration, and one at the end of each epoch."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream

    def after_step(self, trainer: Trainer) -> None:
        """Place and training loss."""
        every = trainer.options.print_every
        if every and trainer.iteration % every == 0:
            self.say(f"{place(trainer)}  {measured(trainer, '/train', of_now=True)}")

    def after_epoch(self, trainer: Trainer) -> None:
        """What the epoch gave, and what validation measured."""
        text = "  ".join(filter(None, (measured(trainer, tag) for tag in ("acc/train", "/val"))))
        self.say(f"epoch {trainer.epoch}/{trainer.options.num_epochs} done  {text}".rstrip())

    def on_stop(self, trainer: Trainer, reason: str) -> None:
        """Why training stops."""
        self.say(f"stopped: {reason}")

    def after_fit(self, trainer: Trainer) -> None:
        """The final test."""
        text = measured(trainer, "/test")
        if text:
            self.say(f"test  {text}")

    def say(self, text: str) -> None:
        """Prints to the stream, by default to what standard output is at that moment."""
        print(text, file=self.stream or sys.stdout, flush=True)


class ProgressBar(Lines):
    """One line on a terminal that fills up; the ends of epochs stay above it."""

    def __init__(self, stream: TextIO | None = None, every_s: float = 0.1):
        super().__init__(stream or sys.stderr)
        self.every_s = every_s
        self._drawn_s = -every_s

    def after_step(self, trainer: Trainer) -> None:
        """Redraws the line, but not more often than a person sees."""
        now_s = time.monotonic()
        if now_s - self._drawn_s >= self.every_s:
            self._drawn_s = now_s
            text = measured(trainer, "/train", of_now=True)
            self._put(f"\r{bar(trainer)} {place(trainer)}  {text}\x1b[K")

    def say(self, text: str) -> None:
        """A line of its own in place of the bar."""
        self._put(f"\r{text}\x1b[K\n")

    def _put(self, text: str) -> None:
        assert self.stream is not None
        self.stream.write(text)
        self.stream.flush()


def bar(trainer: Trainer) -> str:
    """How much of this epoch is done, drawn; "" where its length is unknown."""
    total = trainer.batches_per_epoch
    if not total:
        return ""
    filled: int = min(BAR_WIDTH, BAR_WIDTH * trainer.batch // total)
    return "█" * filled + "░" * (BAR_WIDTH - filled)


def place(trainer: Trainer) -> str:
    """Epoch and batch, as a person counts them."""
    total = trainer.batches_per_epoch
    of = f"/{total}" if total else ""
    return f"epoch {trainer.epoch + 1}/{trainer.options.num_epochs} batch {trainer.batch}{of}"


def measured(trainer: Trainer, suffix: str, *, of_now: bool = False) -> str:
    """The latest values of the tags with this ending, as text; `of_now`: of this iteration only."""
    tags = [tag for tag in trainer.history.tags() if tag.endswith(suffix)]
    points = {tag: trainer.history.last(tag) for tag in tags}
    shown = {t: p for t, p in points.items() if p and (not of_now or p[0] == trainer.iteration)}
    return "  ".join(f"{tag} {point[1]:.4g}" for tag, point in shown.items())
