"""Shows a person what a checkpoint or a saved history holds.

python -m fspop.training.show PATH [--plot IMAGE]
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fspop.errors import FspopError, UsageError
from fspop.training.history import History
from fspop.training.inference import describe_checkpoint


def show(path: Path, plot: Path | None = None) -> str:
    """The text for `path`: a checkpoint's folder, or a history's JSON file, which `plot` draws."""
    if path.suffix != ".json":
        if plot is not None:
            raise UsageError(f"--plot: {path} is a checkpoint; give a <name>_history.json")
        return describe_checkpoint(path)
    if not path.is_file():
        raise UsageError(f"{path}: there is no such history; look in {path.parent}")
    history = History.read(path)
    if plot is not None:
        history.plot(plot)
    return history.summary()


def main(words: Sequence[str] | None = None) -> int:
    """Prints it; the exit code of an error is that of its kind."""
    parser = argparse.ArgumentParser(prog="python -m fspop.training.show", description=__doc__)
    parser.add_argument("path", type=Path, help="a checkpoint's folder or <name>_history.json")
    parser.add_argument("--plot", type=Path, metavar="IMAGE", help="also draw the history")
    given = parser.parse_args(words)
    try:
        print(show(given.path, given.plot), flush=True)
    except BrokenPipeError:  # as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except FspopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
