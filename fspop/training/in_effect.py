"""The proof that hyperparameters took effect: what was assigned against what is read back."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from fspop.errors import HparamsNotApplied


def check_in_effect(task: Any, hparams: Any) -> None:
    """Compares `hparams` with `task.effective_hparams()`, name by name; names it leaves out pass.

    Raises HparamsNotApplied for the first that differs.
    """
    in_effect = dict(task.effective_hparams())
    if not isinstance(hparams, Mapping):
        return
    for name, effective in in_effect.items():
        if name in hparams and not same(effective, hparams[name]):
            raise HparamsNotApplied(
                f"hparam {name!r}: assigned {hparams[name]!r}, but {effective!r} is in effect in "
                f"{type(task).__name__}; check its apply_hparams ({_file_of(type(task))})",
                name=name,
            )


def same(effective: Any, assigned: Any) -> bool:
    """Equality of hparams, numbers up to the rounding of a float32; NaN is the same as NaN.

    Of a mapping only the keys in effect count: what has no place cannot be read back.
    """
    a, b = effective, assigned
    if isinstance(a, int | float) and isinstance(b, int | float) and not isinstance(a, bool):
        both_nan = math.isnan(a) and math.isnan(b)
        return both_nan or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return all(key in b and same(value, b[key]) for key, value in a.items())
    return bool(a == b)


def _file_of(cls: type) -> str:
    try:
        return inspect.getfile(cls)
    except (TypeError, OSError):  # defined in a console
        return cls.__module__
