"""The program of the fresh process: imports an experiment and prints its facts as one JSON object.

It reads {"folder", "file", "attribute", "overrides"} from its standard input. What the user's code
prints goes to standard error.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from fspop.errors import ExperimentError, FspopError
from fspop.experiment import Experiment, check_verbs
from fspop.experiment_code.load import load_experiment
from fspop.experiment_code.overrides import apply_overrides
from fspop.records import Manifest, check_plain

TOLD_OTHERWISE = {"members", "mode", "seed", "space", "mutator"}


def settings(experiment: Experiment) -> dict[str, Any]:
    """The fields of the experiment that a manifest holds under the same name."""
    names = {field.name for field in dataclasses.fields(experiment)}
    names &= set(Manifest.__struct_fields__)
    return {name: getattr(experiment, name) for name in sorted(names - TOLD_OTHERWISE)}


def facts(experiment: Experiment) -> dict[str, Any]:
    """What a manifest needs to know of an experiment, and the mutator's first `memory`."""
    mutator = experiment.mutator
    return {
        "hparams": experiment.first_hparams(),
        "mode": experiment.mode,
        "seed": experiment.seed,
        "space": experiment.domains.to_data() if experiment.domains else {},
        "mutator": {
            "name": mutator.name,
            "settings": mutator.settings(),
            "memory": check_plain(mutator.init(), "mutator state"),
        },
        "settings": settings(experiment),
    }


def _describe(request: dict[str, Any]) -> dict[str, Any]:
    folder, file = Path(request["folder"]), request["file"]
    try:
        experiment = load_experiment(folder, file, request["attribute"])
        experiment = apply_overrides(experiment, request["overrides"])
        check_verbs(experiment.task)
        return {"facts": facts(experiment)}
    except FspopError as error:
        return _as_data(error)
    except Exception as error:  # a user's mutator may raise anything
        return _as_data(ExperimentError(f"{file}: {type(error).__name__}: {error}"))


def _as_data(error: FspopError) -> dict[str, Any]:
    missing = error.attributes.get("missing")
    return {"error": type(error).__name__, "message": error.message, "missing": missing}


def main() -> None:
    """Reads the request, prints the answer."""
    answer = os.dup(1)
    os.dup2(2, 1)
    reply = _describe(json.load(sys.stdin))
    with os.fdopen(answer, "w") as file:
        json.dump(reply, file)


if __name__ == "__main__":
    main()
