"""Importing an experiment in a fresh process: what a worker will see, and its failure in one
line.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fspop import errors
from fspop.errors import ExperimentError
from fspop.experiment_code.fresh import python_command, python_environment


def check_in_fresh_process(
    folder: Path, file: str, attribute: str, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """The facts of the experiment in `folder` (see `describe.facts`), overrides applied.

    Raises what went wrong there: ExperimentError, InvalidSetting, UsageError.
    """
    request = {
        "folder": str(folder.absolute()),
        "file": file,
        "attribute": attribute,
        "overrides": dict(overrides),
    }
    done = subprocess.run(
        [*python_command(), "-m", "fspop.experiment_code.describe"],
        input=json.dumps(request).encode(),
        capture_output=True,
        env={**os.environ, **python_environment()},
        check=False,
    )
    try:
        reply = json.loads(done.stdout)
    except ValueError as error:
        raise _crashed(file, done) from error
    if "error" in reply:
        kind = getattr(errors, reply["error"])
        raise kind(reply["message"], missing=reply["missing"])
    return reply["facts"]  # type: ignore[no-any-return]


def _crashed(file: str, done: subprocess.CompletedProcess[bytes]) -> ExperimentError:
    said = done.stderr.decode(errors="replace").strip().splitlines()
    last = f"; the last thing it printed is {said[-1][:200]!r}" if said else ""
    return ExperimentError(f"{file}: importing it ended the process (exit {done.returncode}){last}")
