"""Names: what an id may be, and how a generation is called."""

import re

from fspop.errors import InvalidId

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z")
_GENERATION = re.compile(r"m([0-9]{3,9})\.g([0-9]{4,9})\Z")


def check_id(value: str, what: str = "id") -> str:
    """Returns `value` if it may be used as an id (and so as part of a file name), else raises
    InvalidId.
    """
    if not isinstance(value, str) or not _ID.match(value):
        raise InvalidId(
            f"{what}: got {value!r}, but an id is 1 to 64 characters of A-Z a-z 0-9 . _ - "
            "and does not begin with a dot"
        )
    return value


def generation_id(member: int, index: int) -> str:
    """The name of a member's `index`-th generation: member 3's 7th is `m003.g0007`."""
    return f"m{member:03d}.g{index:04d}"


def parse_generation_id(value: object) -> tuple[int, int] | None:
    """(member, index) of a generation id in canonical form, None for anything else."""
    match = _GENERATION.match(value) if isinstance(value, str) else None
    if not match:
        return None
    member, index = int(match[1]), int(match[2])
    return (member, index) if generation_id(member, index) == value else None
