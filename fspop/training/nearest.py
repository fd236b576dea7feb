"""What to say about a name that does not exist: the nearest one that does."""

import difflib
from collections.abc import Iterable


def hint(wrong: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` where one of `known` is near, whatever its case, else all of them."""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(wrong.lower(), by_lower, 1)
    if close:
        return f"did you mean {by_lower[close[0]]!r}?"
    return f"there are {', '.join(by_lower.values())}" if by_lower else "there is none"
