"""The strategies by the name that commands use."""

import difflib

import fspop.mutators as known
from fspop.errors import UsageError
from fspop.mutators.base import Mutator
from fspop.mutators.population_based import PopulationStrategy


def mutator_names() -> list[str]:
    """The names of all strategies that may be used as they are."""
    classes = {name: getattr(known, name) for name in known.__all__}
    return sorted(n for n, c in classes.items() if _is_strategy(c) and c.__name__ == n)


def _is_strategy(found: object) -> bool:
    if not isinstance(found, type) or not issubclass(found, Mutator):
        return False
    return found not in (Mutator, PopulationStrategy)


def mutator_class(name: str, where: str) -> type[Mutator]:
    """The strategy called `name`, however it is capitalised or hyphenated.

    Raises UsageError with the nearest name; `where` is what the name was given for.
    """
    names = {_plain(found): found for found in mutator_names()}
    if _plain(name) not in names:
        near = difflib.get_close_matches(_plain(name), names, 1)
        there = f"there are {', '.join(names.values())}"
        hint = f"did you mean {names[near[0]]!r}?" if near else there
        raise UsageError(f"{where}: got {name!r}, but there is no such strategy; {hint}")
    found: type[Mutator] = getattr(known, names[_plain(name)])
    return found


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")
