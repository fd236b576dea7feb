"""Text from user code, as a record can hold it."""

import traceback

TRACEBACK_LENGTH = 4000
"""How many characters of a user's traceback a record holds (the last ones)."""


def describe_error(error: BaseException) -> tuple[str, str]:
    """(one line, the end of the traceback) of an exception that user code raised."""
    text = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {text[0][:300] if text else ''}".rstrip(": ")
    return writable(line), writable("".join(traceback.format_exception(error))[-TRACEBACK_LENGTH:])


def writable(text: str) -> str:
    """`text` as JSON can hold it: file names in messages may carry lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
