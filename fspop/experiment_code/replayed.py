"""The experiment of another run, with its best schedule of hparams instead of its strategy."""

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from fspop.experiment import Experiment
from fspop.experiment_code.load import load_experiment
from fspop.experiment_code.overrides import apply_overrides
from fspop.mutators import Replay
from fspop.recipe import Recipe

PROGRAM = "fspop_replay.py"
FACTS = "fspop_replay.json"
TEXT = f'''"""The experiment beside this file on other seeds, with a fixed schedule of hparams.

Made by `fspop replay`.
"""

from pathlib import Path

from fspop.experiment_code.replayed import replayed_experiment

experiment = replayed_experiment(Path(__file__).with_name("{FACTS}"))
'''


class Replayed(msgspec.Struct, frozen=True):
    """What is trained again: the recipe, on `members` seeds that derive from `seed`, with the
    experiment `attribute` of `file`, changed by `overrides` as in its own run.
    """

    recipe: Recipe
    members: int
    seed: int
    file: str
    attribute: str
    overrides: dict[str, Any]


def replayed_experiment(path: Path) -> Experiment:
    """The experiment that the file at `path` describes, from the code in the same folder."""
    facts = msgspec.json.decode(path.read_bytes(), type=Replayed)
    original = load_experiment(path.parent, facts.file, facts.attribute)
    return dataclasses.replace(
        apply_overrides(original, facts.overrides),
        mutator=Replay(facts.recipe.schedule),
        members=facts.members,
        seed=facts.seed,
        initial_population=None,
    )
