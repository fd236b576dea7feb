"""The command `fspop`: finds the verb, and turns whatever it raises into one line and an exit
code.
"""

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import fspop
from fspop.cli.light import Light
from fspop.errors import FspopError

VERBS = {
    "init": "fspop.cli.init",
    "worker": "fspop.cli.worker",
    "status": "fspop.cli.status",
    "run": "fspop.cli.run",
    "best": "fspop.cli.best",
    "retry": "fspop.cli.retry",
    "set": "fspop.cli.set_",
    "try": "fspop.cli.try_",
    "ls": "fspop.cli.ls",
    "simulate": "fspop.cli.simulate",
    "schedule": "fspop.cli.schedule",
    "replay": "fspop.cli.replay",
}
"""The module of each verb; its function `command` is the verb."""


_HELP = {"help_option_names": ["-h", "--help"]}


class _Verbs(MutableMapping[str, Any]):
    """The commands by name; a verb's module is imported when the verb is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            verb = importlib.import_module(VERBS[name]).command
            app.command(name, cls=_Command, context_settings=_HELP)(verb)
            self._loaded[name] = get_command(app)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class _Command(Light, TyperCommand):
    """A verb."""


class _Group(Light, TyperGroup):
    """The group of all verbs."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.commands = _Verbs()


app = typer.Typer(cls=_Group, add_completion=False, rich_markup_mode=None, context_settings=_HELP)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"fspop {fspop.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Fault-tolerant population training, coordinated through one shared directory."""


def main() -> NoReturn:
    """Runs the command line of this process and ends it."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line; returns its exit code.

    With FSPOP_DEBUG=1 an expected error shows its traceback too, before the line.
    """
    try:
        code = get_command(app).main(arguments or ["--help"], "fspop", standalone_mode=False)
        return code or 0
    except FspopError as error:
        return _refuse(error, error.message, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    if hasattr(error, "format_message"):  # the base of typer's usage errors has no public name
        where = getattr(getattr(error, "ctx", None), "command_path", "fspop")
        said = error.format_message().rstrip(".")
        message = f"{said}{_stray_folder(said)} (see '{where} --help')"
        return _refuse(error, message, 2)
    if isinstance(error, OSError) and error.filename is not None:
        from fspop.storage.atomic import as_fspop_error

        named = as_fspop_error(error, Path(os.fsdecode(error.filename)), "cannot use")
        return _refuse(error, named.message, named.exit_code)
    traceback.print_exception(error)
    what = f"{type(error).__name__}: {error}"
    return _refuse(None, f"a bug in fspop {fspop.__version__}, please report it ({what})", 70)


def _stray_folder(said: str) -> str:
    """A hint where an argument too many is a folder."""
    extra = re.search(r"unexpected extra argument\S* \((.+)\)$", said)
    return f"; did you mean --dir {extra[1]}?" if extra and Path(extra[1]).is_dir() else ""


def _refuse(error: Exception | None, message: str, code: int) -> int:
    if error is not None and os.environ.get("FSPOP_DEBUG"):
        traceback.print_exception(error)
    print("fspop: error:", " ".join(message.split("\n")), file=sys.stderr)
    return code
