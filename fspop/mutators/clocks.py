"""What an interval counts: steps, seconds of training, or epochs."""

from fspop.errors import InvalidSetting
from fspop.mutators.base import MemberView
from fspop.mutators.checks import check_count
from fspop.records import is_number

UNITS = ("steps", "seconds", "epochs")
EPOCH = "epoch"
"""The metric that counts a task's epochs; strategies read it where an interval is in epochs."""


def check_interval(interval: float, burn_in: float, unit: str, name: str) -> None:
    """Raises InvalidSetting unless these are an interval and a burn-in of strategy `name`."""
    if unit not in UNITS:
        raise InvalidSetting(f"{name}.time_unit: got {unit!r}; give one of {', '.join(UNITS)}")
    if unit == "steps":
        check_count(interval, f"{name}.interval", 1)
        check_count(burn_in, f"{name}.burn_in", 0)
        return
    for field, value, least in (
        ("interval", interval, "above 0"),
        ("burn_in", burn_in, "0 or more"),
    ):
        if not is_number(value) or value < 0 or (value == 0 and field == "interval"):
            raise InvalidSetting(f"{name}.{field}: got {value!r}; give a number of {unit}, {least}")


def clock_at_birth(unit: str, m: MemberView) -> float:
    """What the member's clock showed when its generation began; of epochs, an estimate."""
    if unit == "steps":
        return m.start_step
    if unit == "seconds" or not m.latest or not m.latest.step:
        return 0.0
    return clock(unit, m) * m.start_step / m.latest.step


def clock(unit: str, m: MemberView, step: int | None = None) -> float:
    """What the member's clock shows, with `step` given: at its newest report up to there.

    Steps and epochs go on from the parent's; seconds are those of this generation alone, whatever
    the step. Epochs are 0 until a report names them.
    """
    if unit == "seconds":
        return m.train_s
    seen = [e for e in m.evaluations if step is None or e.step <= step]
    if unit == "steps":
        return seen[-1].step if seen else m.start_step
    counts = [e.metrics[EPOCH] for e in seen if is_number(e.metrics.get(EPOCH))]
    return float(counts[-1]) if counts else 0.0
