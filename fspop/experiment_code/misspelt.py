"""What to say about an argument that a constructor in the user's file does not have."""

import difflib
import inspect
import re
from types import TracebackType

_UNKNOWN = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'\Z")


def nearest_argument(error: BaseException) -> str:
    """`; did you mean 'x'?` for the nearest argument there is; "" where none is near, or where
    `error` is about something else.
    """
    match = _UNKNOWN.match(str(error)) if isinstance(error, TypeError) else None
    cls = _named(match[1], error.__traceback__) if match else None
    if match is None or cls is None:
        return ""
    near = difflib.get_close_matches(match[2], inspect.signature(cls).parameters, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _named(name: str, trace: TracebackType | None) -> type | None:
    """The class of this name where the call stood; the innermost frame that knows it."""
    found = None
    while trace is not None:
        frame = trace.tb_frame
        value = frame.f_locals.get(name, frame.f_globals.get(name))
        found = value if isinstance(value, type) else found
        trace = trace.tb_next
    return found
