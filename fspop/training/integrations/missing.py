"""Imports an optional library, or says in one line which extra brings it."""

import importlib
from typing import Any

from fspop.errors import ConfigurationError


def require(library: str, extra: str, who: str) -> Any:
    """The module `library`; ConfigurationError naming `extra` where it is not installed."""
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != library.partition(".")[0]:
            raise  # it is there, and something it needs is not
        raise ConfigurationError(
            f"{who}: {library} is not installed here; install it with pip install 'fspop[{extra}]'",
            missing=library,
        ) from error
