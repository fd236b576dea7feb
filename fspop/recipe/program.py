"""A recipe as Python to import or to run, without fspop."""

import pprint
import textwrap
from typing import Any

from fspop.recipe.dotted import flat, parts
from fspop.recipe.recipe import Recipe

_RATES = ("lr", "learning_rate")

_HEAD = '''"""A schedule of hyperparameters.

{origin}`hparams_at(step)` gives those in effect at a step. Run as a program, it shows the schedule.
"""

from bisect import bisect_right

SCHEDULE = (
{schedule})


def hparams_at(step):
    """The hyperparameters in effect at `step`."""
    if step < 0:
        raise ValueError(f"step: got {{step}}, but the schedule begins at 0")
    steps = [begins for begins, _ in SCHEDULE]
    return SCHEDULE[bisect_right(steps, step) - 1][1]
'''

_RATE = '''

def lr_lambda(step):
    """For torch's LambdaLR, on an optimizer whose learning rate is that of step 0; a step of the
    schedule is a step of the scheduler.
    """
    return hparams_at(step){path} / {first!r}
'''

_TAIL = """

if __name__ == "__main__":
    for begins, hparams in SCHEDULE:
        print(begins, hparams)
"""


def program(recipe: Recipe) -> str:
    """The text of the program. It has `lr_lambda` where one hparam is a learning rate."""
    schedule = "".join(_pair(*pair) for pair in recipe.schedule)
    text = _HEAD.format(origin=_origin(recipe), schedule=schedule)
    rate = learning_rate(recipe)
    if rate is not None:
        path = "".join(f"[{name!r}]" for name in parts(rate))
        text += _RATE.format(path=path, first=flat(recipe.segments[0].hparams)[rate])
    return text + _TAIL


def learning_rate(recipe: Recipe) -> str | None:
    """The dotted name of the one hparam that is a learning rate throughout; None without, or where
    there are several.
    """
    rows = [flat(segment.hparams) for segment in recipe.segments]
    found = [name for name in rows[0] if parts(name)[-1] in _RATES]
    if len(found) != 1 or not all(_is_rate(row.get(found[0])) for row in rows):
        return None
    return found[0] if rows[0][found[0]] else None


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _pair(step: int, hparams: Any) -> str:
    shown = pprint.pformat((step, hparams), width=92, sort_dicts=False)
    return textwrap.indent(shown, "    ") + ",\n"


def _origin(recipe: Recipe) -> str:
    if not recipe.generation:
        return ""
    score = "" if recipe.value is None else f", where its score was {recipe.value!r}"
    origin = f"{recipe.generation} of run {recipe.run} followed it to step {recipe.until}{score}."
    return textwrap.fill(origin, 88) + "\n\n"
