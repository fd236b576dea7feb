"""`fspop retry`: gives failed members new attempts, once their cause is gone."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fspop.cli import options
from fspop.cli.person import person
from fspop.errors import UsageError
from fspop.paths import RunPaths
from fspop.records import AnyOp, Retried, State
from fspop.storage import check_writable, open_log, read_manifest


def command(
    run_dir: options.RunDir = None,
    member: Annotated[
        list[int] | None,
        typer.Option("--member", metavar="M", help="Only this one; may be repeated."),
    ] = None,
) -> None:
    """Give failed members new attempts.

    For when what made them fail is gone: a missing file, a full GPU, a mount. Each goes on from its
    newest checkpoint, with its hparams, and its failures and deaths count from 0 again. Code cannot
    be changed in a run.
    """
    root = options.needed_dir(run_dir)
    retried = retry(root, member or [], person())
    names = f"member{'s' if len(retried) > 1 else ''} {', '.join(map(str, retried))}"
    print(
        f"{names} may be trained again; workers that still run take up what is free, others are "
        f"started with 'fspop worker --id 0 --dir {shlex.quote(str(root))}'"
    )


def retry(root: Path, wanted: Sequence[int], by: str) -> list[int]:
    """Makes the `wanted` members of the run at `root` active again (none given: all that failed);
    returns which. One record, or none.

    Raises UsageError for a member that has not failed, and where there is no such member.
    """
    paths = RunPaths(root)
    manifest = read_manifest(paths)
    check_writable(paths)

    def build(state: State) -> list[AnyOp]:
        return [Retried(index, by) for index in _chosen(state, wanted, root)]

    record = open_log(paths, manifest).commit("retry", build).record
    assert record is not None
    return [op.member for op in record.ops if isinstance(op, Retried)]


def _chosen(state: State, wanted: Sequence[int], root: Path) -> list[int]:
    failed = [m.index for m in state.members if m.status == "failed"]
    for index in wanted:
        if not 0 <= index < len(state.members):
            raise UsageError(
                f"--member: got {index}, but there are members 0 to {len(state.members) - 1}"
            )
        if index not in failed:
            raise UsageError(
                f"--member: got {index}, which has not failed, it is "
                f"{state.members[index].status}; {_which(failed)}"
            )
    if not failed:
        raise UsageError(f"{root}: no member has failed, so there is nothing to retry")
    return sorted(set(wanted)) or failed


def _which(failed: Sequence[int]) -> str:
    return f"failed: {', '.join(map(str, failed))}" if failed else "no member has"
