"""Conditions: an hparam that exists only while another one has a certain value."""

import dataclasses
from typing import Any

from fspop.errors import InvalidSetting
from fspop.records import check_plain
from fspop.space.checks import as_json

WHEN = "$when"


@dataclasses.dataclass(frozen=True)
class When:
    """In a space: `then` exists only while the hparam `parent` has one of `values`.

    `{"optimizer": Choice(["sgd", "adam"]), "momentum": When("optimizer", "sgd", Uniform(0.5, 1))}`

    parent: a dotted name. It is looked for beside the condition first, then in the dicts around.
    It names a Choice, an Ordinal, a Boolean, an Integer, a Quantized, or a constant. values: one
    value, or several in a list, tuple or set; a value that is a list itself goes into a list.
    then: a domain, a constant, a dict of those, or another When: both conditions must hold. Where
    `parent` itself does not exist, `then` does not either.
    """

    parent: str
    values: Any
    then: Any

    def __post_init__(self) -> None:
        if not isinstance(self.parent, str) or not self.parent:
            raise InvalidSetting(f"When.parent: got {self.parent!r}; give the name of an hparam")
        given = self.values
        if isinstance(given, set | frozenset):
            given = sorted(given, key=as_json)
        values = given if isinstance(given, list | tuple) else [given]
        if not values:
            raise InvalidSetting(f"When({self.parent!r}).values: got none; give at least one")
        plain = tuple(check_plain(list(values), f"When({self.parent!r}).values"))
        object.__setattr__(self, "values", plain)
