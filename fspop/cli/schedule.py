"""`fspop schedule`: the hyperparameters that led to a result, by step, to use elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fspop.cli import options
from fspop.errors import TryLater, UsageError

if TYPE_CHECKING:
    from fspop.recipe import Recipe

Member = Annotated[
    str,
    typer.Option(
        "--member", metavar="M", help="A member, as it is now; or best: the best score so far."
    ),
]


def command(
    run_dir: options.RunDir = None,
    member: Member = "best",
    form: Annotated[
        str, typer.Option("--as", metavar="FORM", help="python, json, csv or toml.")
    ] = "json",
) -> None:
    """Write the hyperparameters that led to the best score, by step.

    From its first ancestor on, whichever members they were. As python it is a module with
    hparams_at(step), and lr_lambda(step) for torch's LambdaLR where there is a learning rate. The
    other forms read back with fspop.recipe.read_recipe, for the strategy Replay.
    """
    from fspop.recipe import FORMS, write_recipe

    root = options.needed_dir(run_dir)
    if form not in FORMS:
        raise UsageError(f"--as: got {form!r}; give one of {', '.join(FORMS)}")
    print(write_recipe(recipe_of(root, member), form), end="")


def recipe_of(root: Path, member: str) -> "Recipe":
    """The recipe of a member of the run at `root`, or of its best score. Reads its whole history.

    Raises UsageError for a member that does not exist, TryLater before the first score.
    """
    from fspop.report.winning import best_recipe, member_recipe
    from fspop.storage import read_history, read_run

    manifest, state = read_run(root)
    if member == "best":
        found = best_recipe(manifest, state, read_history(root))
        if found is None:
            raise TryLater(
                f"{root}: no evaluation counts so far; look again when 'fspop status --dir {root}' "
                "shows one, or name a --member"
            )
        return found
    if not member.isdecimal() or int(member) >= len(state.members):
        raise UsageError(
            f"--member: got {member!r}; give best, or a member from 0 to {len(state.members) - 1}"
        )
    return member_recipe(manifest, state, read_history(root), int(member))
