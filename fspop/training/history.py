"""What training measured: named series of (iteration, value), the one source of every chart."""

import json
import math
import os
from array import array
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from fspop.errors import Damaged, UsageError
from fspop.training.durable import replace_file
from fspop.training.nearest import hint

FORMAT = 1
_SETTLE_EVERY = 256


class _Series:
    """One tag's points. Values still on an accelerator wait in `pending`, so nothing stalls."""

    def __init__(self, iterations: Iterable[int] = (), values: Iterable[float] = ()):
        self.iterations = array("q", iterations)
        self._values = array("d", values)
        self._pending: list[torch.Tensor] = []

    def add(self, iteration: int, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            value = value.detach().reshape(())
        if isinstance(value, torch.Tensor) and value.device.type != "cpu":
            self._pending.append(value)
            if len(self._pending) >= _SETTLE_EVERY:
                self.settle()
        else:
            number = float(value)
            self.settle()
            self._values.append(number)
        self.iterations.append(iteration)

    def settle(self) -> None:
        if self._pending:
            self._values.extend(torch.stack(self._pending).double().tolist())
            self._pending.clear()

    @property
    def values(self) -> "array[float]":
        self.settle()
        return self._values


class History:
    """Series by tag, such as loss/train, loss/val, acc/val; any other tag may be added.

    The x of a point is the number of iterations done when it was measured. A scalar tensor on an
    accelerator is only read when somebody asks. `state()` and `save` hold every point.
    """

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def add(self, tag: str, iteration: int, value: Any) -> None:
        """Appends a number or scalar tensor; NaN and infinities are kept as they are."""
        series = self._series.get(tag) or _Series()
        series.add(iteration, value)
        self._series[tag] = series

    def tags(self) -> list[str]:
        """The tags that have data, in the order of their first point."""
        return list(self._series)

    def get(self, tag: str) -> list[float] | None:
        """All values of `tag`; None before there is one."""
        return self._series[tag].values.tolist() if tag in self._series else None

    def points(self, tag: str, start: int = 0) -> list[tuple[int, float]]:
        """(iteration, value) of `tag`, from its `start`-th point on."""
        if tag not in self._series:
            return []
        series = self._series[tag]
        return list(zip(series.iterations[start:], series.values[start:], strict=True))

    def count(self, tag: str) -> int:
        """How many points `tag` has."""
        return len(self._series[tag].iterations) if tag in self._series else 0

    def last(self, tag: str) -> tuple[int, float] | None:
        """The latest (iteration, value) of `tag`."""
        if tag not in self._series:
            return None
        return self._series[tag].iterations[-1], self._series[tag].values[-1]

    def at(self, iteration: int, suffix: str) -> dict[str, float]:
        """The latest values measured at exactly `iteration`, of the tags that end in `suffix`."""
        found = {tag: self.last(tag) for tag in self._series if tag.endswith(suffix)}
        return {tag: point[1] for tag, point in found.items() if point and point[0] == iteration}

    def state(self) -> dict[str, Any]:
        """Everything as tensors, for a checkpoint."""
        return {
            tag: {
                "iterations": torch.tensor(series.iterations, dtype=torch.int64),
                "values": torch.tensor(series.values, dtype=torch.float64),
            }
            for tag, series in self._series.items()
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` gave, in place of everything here."""
        self._series = {
            tag: _Series(points["iterations"].tolist(), points["values"].tolist())
            for tag, points in state.items()
        }

    def to_data(self) -> dict[str, Any]:
        """Everything as plain JSON data; what is not finite becomes "nan", "inf" or "-inf"."""
        return {
            tag: {
                "iterations": series.iterations.tolist(),
                "values": [v if math.isfinite(v) else repr(v) for v in series.values],
            }
            for tag, series in self._series.items()
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.to_data() == other.to_data()

    __hash__ = None  # type: ignore[assignment]

    def save(self, path: str | PathLike[str]) -> None:
        """Writes JSON; a reader sees the old file or the new one, never half."""
        data = {"format": FORMAT, "history": self.to_data()}
        replace_file(Path(path), json.dumps(data, allow_nan=False).encode())

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "History":
        """The history that `save` wrote; Damaged where the file holds no such thing."""
        history = cls()
        try:
            for tag, points in json.loads(Path(path).read_bytes())["history"].items():
                values = map(float, points["values"])
                for iteration, value in zip(points["iterations"], values, strict=True):
                    history.add(str(tag), iteration, value)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise Damaged(f"{os.fspath(path)}: not a saved history ({error})") from error
        return history

    def summary(self) -> str:
        """A line for each tag: how many points, the last value, the least and the greatest."""
        lines = []
        for tag, series in self._series.items():
            values = series.values
            lines.append(
                f"{tag:<16} {len(values):>8} points  last {values[-1]:<12.6g} "
                f"min {min(values):<12.6g} max {max(values):<12.6g}"
            )
        return "\n".join(lines) or "nothing measured yet"

    def plot(self, path: str | PathLike[str], tags: Iterable[str] | None = None) -> None:
        """Draws the tags, those with the same word before the slash in one chart, into an image.

        Needs the extra `plots`.
        """
        from fspop.training.schedules.plots import new_figure, save_figure

        charts: dict[str, list[str]] = {}
        for tag in self.tags() if tags is None else tags:
            if tag not in self._series:
                raise UsageError(f"the history has no {tag!r}; {hint(tag, self._series)}")
            charts.setdefault(tag.partition("/")[0], []).append(tag)
        figure = new_figure(figsize=(8, 3.5 * max(1, len(charts))))
        for row, (chart, members) in enumerate(charts.items(), 1):
            axes = figure.add_subplot(len(charts), 1, row, ylabel=chart, xlabel="iteration")
            for tag in members:
                axes.plot(self._series[tag].iterations, self._series[tag].values, label=tag)
            axes.legend()
        save_figure(figure, path)
