"""Importing an experiment: by module name, so that import paths stay valid, and with one line for
whatever its code raises.
"""

import importlib
import keyword
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from fspop.errors import ConfigurationError, ExperimentChanged, ExperimentError, UsageError
from fspop.experiment import Experiment
from fspop.experiment_code.extras import extra_for
from fspop.experiment_code.files import digest_code
from fspop.experiment_code.misspelt import nearest_argument
from fspop.experiment_code.overrides import apply_overrides
from fspop.paths import RunPaths
from fspop.records import Manifest

DEFAULT_ATTRIBUTE = "experiment"

_current: Path | None = None  # the folder that the last experiment of this process came from


def split_target(target: str) -> tuple[Path, str]:
    """(file, attribute) of `experiment.py:NAME`; without NAME the attribute is `experiment`."""
    file, colon, name = target.rpartition(":")
    if not colon or name.endswith(".py"):
        return Path(target), DEFAULT_ATTRIBUTE
    if not file or not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"FILE: got {target!r}; write FILE.py or FILE.py:NAME")
    return Path(file), name


def load_run_experiment(paths: RunPaths, manifest: Manifest) -> Experiment:
    """The experiment of a run, imported from its copy, with the settings given at init.

    Raises ExperimentChanged where the copy is not what the run began with, and ExperimentError.
    """
    recorded = check_unchanged(paths, manifest)
    experiment = load_experiment(paths.experiment, recorded["file"], recorded["attribute"])
    return apply_overrides(experiment, recorded["overrides"])


def check_unchanged(paths: RunPaths, manifest: Manifest) -> dict[str, Any]:
    """What the manifest says of the experiment, whose code is still that. Imports nothing.

    Raises ExperimentChanged, and ExperimentError for a run without an experiment.
    """
    recorded = manifest.experiment
    if recorded is None:
        raise ExperimentError(
            f"{paths.root}: run {manifest.run} has no experiment to train; it was made by a "
            "program that uses PopulationController, so start that program"
        )
    found = digest_code(paths.experiment) if paths.experiment.is_dir() else "none"
    if found != recorded["digest"]:
        raise ExperimentChanged(
            f"{paths.experiment}: not the code that run {manifest.run} began with (its digest is "
            f"{found[:12]}, recorded is {recorded['digest'][:12]}); put the original files back, "
            "or begin a new run with 'fspop init FILE --dir ANOTHER'",
            path=paths.experiment,
        )
    return recorded


def load_experiment(folder: Path, file: str, attribute: str) -> Experiment:
    """The Experiment that `file` (its path below `folder`) holds under the name `attribute`.

    `folder` becomes the first place this process imports from, and stays it. Writes no bytecode.
    An experiment loaded before from another folder is forgotten. Raises ExperimentError.
    """
    folder = folder.absolute()
    name = module_name(file)
    _forget_other_than(folder)
    _check_free(folder, file, name)
    module = _import(folder, file, name)
    return _pick(module, file, attribute)


def module_name(file: str) -> str:
    """By what name `file`, a path below the code's folder, is imported. Raises ExperimentError."""
    parts = Path(file).with_suffix("").parts
    if not file.endswith(".py") or any("." in part for part in parts):
        raise ExperimentError(
            f"{file}: not a name that Python can import; call it like experiment.py"
        )
    return ".".join(parts)


def _forget_other_than(folder: Path) -> None:
    global _current
    if _current is not None and _current != folder:
        sys.path[:] = [entry for entry in sys.path if entry != str(_current)]
        for name, module in list(sys.modules.items()):
            if _is_below(getattr(module, "__file__", None), _current):
                del sys.modules[name]
    _current = folder


def _check_free(folder: Path, file: str, name: str) -> None:
    """Python would import another module of that name, or break it for everybody else."""
    top = name.partition(".")[0]
    module = sys.modules.get(top)
    origin = getattr(module, "__file__", None)
    own = module is None or origin is None or _is_below(origin, folder)
    if top in sys.stdlib_module_names or not own:
        other = origin if not own else "in the standard library"
        raise ExperimentError(
            f"{file}: {top!r} is the name of another Python module ({other}); rename the file"
        )


def _import(folder: Path, file: str, name: str) -> ModuleType:
    sys.dont_write_bytecode = True
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # user code: it may raise anything
        raise ExperimentError(
            f"{_where(error, folder) or file}: {_what(error)}",
            path=folder / file,
            missing=error.name if isinstance(error, ModuleNotFoundError) else None,
        ) from error


def _where(error: BaseException, folder: Path) -> str:
    """The place in the experiment's code that an error came from."""
    if isinstance(error, SyntaxError) and _is_below(error.filename, folder):
        return f"{_relative(str(error.filename), folder)} line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_below(frame.filename, folder)]
    return f"{_relative(own[-1].filename, folder)} line {own[-1].lineno}" if own else ""


def _what(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first = (text.strip().splitlines() or [""])[0]
    if isinstance(error, ConfigurationError):
        return first
    hint = nearest_argument(error) + extra_for(error)
    return f"{type(error).__name__}: {first}".rstrip(": ") + hint


def _is_below(file: str | None, folder: Path) -> bool:
    return file is not None and Path(file).is_relative_to(folder)


def _relative(file: str, folder: Path) -> str:
    return Path(file).relative_to(folder).as_posix()


def _pick(module: ModuleType, file: str, attribute: str) -> Experiment:
    found = getattr(module, attribute, None)
    if isinstance(found, Experiment):
        return found
    others = [name for name, value in vars(module).items() if isinstance(value, Experiment)]
    if others:
        advice = f"it holds {', '.join(others)}: choose one, as in {file}:{others[0]}"
    else:
        advice = f"write {attribute} = Experiment(...)"
    if not hasattr(module, attribute):
        raise ExperimentError(f"{file}: it has no {attribute!r}; {advice}")
    raise ExperimentError(
        f"{file}: {attribute!r} is a {type(found).__name__}, not a fspop.Experiment; {advice}"
    )
