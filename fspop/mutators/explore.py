"""Explore rules: how hparams change when a member copies another one."""

import dataclasses
import inspect
import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from fspop.errors import InvalidSetting
from fspop.mutators.base import MutateFn
from fspop.records import check_plain
from fspop.space import (
    FACTORS,
    RESAMPLE_PROBABILITY,
    Factors,
    Space,
    check_factors,
    check_probability,
)


class Past(NamedTuple):
    """What a rule that learns may go by, beside the hparams.

    `memory` is what the rule made of all it saw. The new hparams are for training from `step` on,
    where the score is `score`. `running` are the (step, score, hparams) that other members are
    training from now.
    """

    memory: dict[str, Any]
    mode: str
    step: int
    score: float | None
    running: Sequence[tuple[int, float, Any]]


@dataclasses.dataclass(frozen=True)
class ExploreRule:
    """Base of the explore rules that work on the run's space."""

    learns: ClassVar[bool] = False  # whether `learned` makes anything of what happened

    def apply(self, hparams: Any, space: Space, rng: random.Random, past: Past | None) -> Any:
        """New hparams within the space. A rule that learns does without `past` where it is None."""
        raise TypeError(f"{type(self).__name__} does not define apply()")

    def resampled(self) -> "ExploreRule":
        """The rule for hparams that are known to be bad."""
        return Perturb(resample_probability=1.0)

    def learned(self, memory: dict[str, Any], row: "Row", space: Space) -> dict[str, Any]:
        """The memory with one more row; `memory` is {} at first and is not modified."""
        return memory


class Row(NamedTuple):
    """What became of `steps` steps of training with `hparams` from `step`, where the score was
    `score`.

    `gain` is how much better the score got per step: above 0 is good in every mode, and so is a
    higher score.
    """

    step: int
    steps: int
    score: float
    hparams: Any
    gain: float


@dataclasses.dataclass(frozen=True)
class Perturb(ExploreRule):
    """Each hparam of the run's space is resampled with the probability, else perturbed in bounds.

    factors: a number is multiplied by one of the two. This never leaves 0, so where a domain of
    floats holds 0 only the resampling does. See Jaderberg et al. 2017, arXiv:1711.09846.
    """

    factors: Factors = FACTORS
    resample_probability: float = RESAMPLE_PROBABILITY

    def __post_init__(self) -> None:
        check_factors(self.factors, "Perturb.factors")
        check_probability(self.resample_probability, "Perturb.resample_probability")
        object.__setattr__(self, "factors", tuple(self.factors))

    def apply(self, hparams: Any, space: Space, rng: random.Random, past: Past | None) -> Any:
        """Perturbed hparams."""
        return space.perturb(hparams, rng, self.factors, self.resample_probability)

    def resampled(self) -> ExploreRule:
        """Draws all of them anew."""
        return dataclasses.replace(self, resample_probability=1.0)


Explore = ExploreRule | MutateFn
CONDITIONAL_TRIES = 32
"""On so many hparams a function is tried at init where some exist under a condition only."""


def explore(
    rule: Explore,
    hparams: Any,
    space: Space | None,
    rng: random.Random,
    past: Past | None = None,
) -> Any:
    """New hparams from `hparams`, which are not modified.

    A function is called as `rule(hparams)`, or with `rng` where it takes a parameter of that name
    or a second one without a default. Its result is clipped to the space where the run has one.
    A run whose random numbers come from elsewhere than `rng` does not repeat itself.
    Raises InvalidSetting where the result cannot be used (see `usable`).
    """
    if isinstance(rule, ExploreRule):
        check_space(rule, "explore", space)
        assert space is not None
        return rule.apply(hparams, space, rng, past)
    given = check_plain(hparams, "hparams")
    keywords, positional = _wants_rng(rule)
    result = rule(given, *[rng] * positional, **({"rng": rng} if keywords else {}))
    return usable(rule, result, hparams, space, rng)


def usable(
    function: MutateFn, result: Any, hparams: Any, space: Space | None, rng: random.Random
) -> Any:
    """What `function` made of `hparams`, as plain data and clipped to the space.

    Conditional hparams that do not exist any more are left out, those that begin to exist are drawn
    with `rng` unless the function gave them. Raises InvalidSetting where it is None, no plain data,
    lacks a key of the space that `hparams` has, or has one that neither the space nor `hparams`
    has.
    """
    if result is None:
        raise InvalidSetting(f"{_name(function)}: returned None; return the new hparams")
    plain = check_plain(result, f"result of {_name(function)}")
    if space is None:
        return plain
    clipped = space.clip(plain, rng)
    lost = sorted(_names(clipped) & _names(hparams) & space.leaves().keys() - _names(plain))
    if lost:
        raise InvalidSetting(
            f"{_name(function)}: left out the key {lost[0]!r}, which the hparams it was given have "
            "and the new ones need; keep it"
        )
    foreign = sorted(_names(clipped) - _names(hparams) - space.names())
    if foreign:
        raise InvalidSetting(
            f"{_name(function)}: returned the key {foreign[0]!r}, which neither the space nor the "
            "hparams it was given have; declare it in the space, or leave it out"
        )
    return clipped


def resampled(rule: Explore) -> Explore:
    """The rule for hparams that are known to be bad; a function stays as it is."""
    return rule.resampled() if isinstance(rule, ExploreRule) else rule


def check_explore(rule: Any, where: str) -> None:
    """Raises InvalidSetting unless `rule` is an explore rule or takes hparams, and rng maybe."""
    if isinstance(rule, ExploreRule):
        return
    if not callable(rule) or isinstance(rule, type):
        raise InvalidSetting(
            f"{where}: got {rule!r}; give Perturb(...) or a function of the hparams"
        )
    keywords, positional = _wants_rng(rule)
    try:
        signature = inspect.signature(rule)
    except (TypeError, ValueError):
        return  # a builtin that does not say what it takes
    try:
        signature.bind(*[None] * (1 + positional), **({"rng": None} if keywords else {}))
    except TypeError as error:
        raise InvalidSetting(
            f"{where}: got {_name(rule)}{signature}; it must take (hparams) or (hparams, rng)"
        ) from error


def check_space(rule: Explore, where: str, space: Space | None) -> None:
    """Raises InvalidSetting where `rule` needs a space and the run has none, and where a function
    fails on hparams drawn from the space.
    """
    if isinstance(rule, ExploreRule) and space is None:
        raise InvalidSetting(
            f"{where}: got no function and the run has no space; give it one of them"
        )
    if space is not None and not isinstance(rule, ExploreRule):
        _try(rule, where, space)


def _try(rule: MutateFn, where: str, space: Space) -> None:
    """Calls the user's function on hparams it will meet, so that it fails now if ever."""
    rng = random.Random(0)
    try:
        for _ in range(CONDITIONAL_TRIES if space.is_conditional else 1):
            explore(rule, space.sample(rng), space, rng)
    except Exception as error:  # user code: it may raise anything
        raise InvalidSetting(
            f"{where}: {_name(rule)} fails on hparams of the space: {type(error).__name__}: {error}"
        ) from error


def rehearse_explore(rule: Explore, where: str, hparams: Any, space: Space | None) -> None:
    """Raises InvalidSetting where a user's function fails on `hparams`."""
    if isinstance(rule, ExploreRule):
        return
    try:
        explore(rule, hparams, space, random.Random(0))
    except Exception as error:  # user code: it may raise anything
        raise InvalidSetting(
            f"{where}: {_name(rule)} fails on the first hparams: {type(error).__name__}: {error}"
        ) from error


def _names(hparams: Any, prefix: str = "") -> set[str]:
    """The dotted names of all keys."""
    if not isinstance(hparams, Mapping):
        return set()
    own = {f"{prefix}{key}" for key in hparams}
    return own.union(*(_names(value, f"{prefix}{key}.") for key, value in hparams.items()))


def _wants_rng(rule: MutateFn) -> tuple[bool, int]:
    """(as a keyword, how many more positional arguments): how `rule` wants its random numbers."""
    try:
        parameters = list(inspect.signature(rule).parameters.values())
    except (TypeError, ValueError):
        return False, 0
    named = next((p for p in parameters if p.name == "rng"), None)
    if named is not None and named.kind is not named.POSITIONAL_ONLY:
        return True, 0
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return False, int(len(by_place) > 1 and by_place[1].default is inspect.Parameter.empty)


def _name(rule: MutateFn) -> str:
    return str(getattr(rule, "__qualname__", type(rule).__qualname__))
