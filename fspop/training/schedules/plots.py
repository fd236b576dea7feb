"""Draws schedules; matplotlib (the extra `plots`) is imported only here, when asked."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from fspop.errors import ConfigurationError
from fspop.training.schedules.base import Schedule
from fspop.training.schedules.checks import check_whole

MAX_POINTS = 5000


def new_figure(**options: Any) -> Any:
    """A matplotlib Figure outside pyplot, so no display and no global state is needed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError("plots need matplotlib: 'pip install matplotlib'") from error
    return Figure(layout="constrained", **options)


def save_figure(figure: Any, path: str | PathLike[str]) -> None:
    """Writes the figure in the format its ending names, making the folder where missing."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def plot_schedules(
    schedules: Mapping[str, Schedule],
    iterations: int,
    path: str | PathLike[str],
    iterations_per_epoch: int = 1,
) -> None:
    """Draws the first `iterations` values of each schedule, by label, into one image.

    With `iterations_per_epoch` 1 the axis counts epochs for the schedules that look at those.
    Schedules driven by accuracy are drawn as they stand, as if none were observed any more.
    """
    check_whole("plot", "iterations", iterations, 1)
    check_whole("plot", "iterations_per_epoch", iterations_per_epoch, 1)
    figure = new_figure(figsize=(8, 4.5))
    axes = figure.add_subplot(xlabel="iteration", ylabel="value")
    places = range(0, iterations, max(1, iterations // MAX_POINTS))
    for label, schedule in schedules.items():
        values = [schedule.value(i, i // iterations_per_epoch) for i in places]
        axes.plot(places, values, label=label)
    axes.legend()
    save_figure(figure, path)
