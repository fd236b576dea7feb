"""Changing settings of a run under way, as one record: what was asked, and what follows at once."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from fspop.controller.decide import (
    Rules,
    changed_ops,
    copied,
    decided,
    mutator_ops,
    view_of,
    with_consequences,
)
from fspop.controller.effective import Effective
from fspop.controller.text import describe_error
from fspop.errors import FspopError, InvalidSetting, UsageError
from fspop.experiment import Experiment
from fspop.experiment_code.strategy import changed_strategy
from fspop.mutators.base import Mutator, as_data
from fspop.records import AnyOp, Evaluation, Manifest, SettingsChanged, State, check_plain
from fspop.storage.fold import apply

CHANGEABLE = (
    "total_steps",
    "report_every",
    "max_lead_steps",
    "keep_best",
    "checkpoint_budget_gb",
    "max_attempts",
    "max_deaths",
)
"""Settings beside the strategy's that may be changed: whoever reads them reads the newest state."""

FIXED = {
    "members": "members are created at init",
    "mode": "what was recorded is ranked by it",
    "metric": "scores of another metric do not compare with those on record",
    "objectives": "what was recorded is ranked by them",
    "constraints": "what was recorded is ranked by them",
    "ranking": "what was recorded is ranked by it",
    "reference": "what was recorded is ranked by it",
    "front_size": "checkpoints beyond it may be deleted already",
    "seed": "decisions derive from it",
    "space": "what strategies remember is in its terms",
    "threads": "another number of threads gives other bits",
    "tensorboard": "a worker reads it when it begins",
    "lease_timeout_s": "all workers must agree on it at any time",
    "stall_timeout_s": "all workers must agree on it at any time",
    "task": "it is the code the run was made with",
    "initial_population": "members began with it",
}
"""What cannot be changed in a run under way, and why."""


@dataclasses.dataclass(frozen=True)
class _Any(Mutator):
    """Stands for the strategy where only other settings are checked."""


def is_of_strategy(key: str) -> bool:
    """Whether a dotted key names the strategy or one of its settings."""
    return key.partition(".")[0] == "mutator"


def check_keys(asked: Mapping[str, Any]) -> None:
    """Raises UsageError for a setting that there is not or that cannot be changed."""
    for key in asked:
        if is_of_strategy(key) or key in CHANGEABLE:
            continue
        head = key.partition(".")[0]
        may = f"{', '.join(CHANGEABLE)} and mutator may be"
        if head in FIXED:
            raise UsageError(f"{key}: cannot be changed in a run under way: {FIXED[head]} ({may})")
        raise UsageError(f"{key}: there is no such setting to be changed ({may})")


def change_ops(
    state: State,
    effective: Effective,
    asked: Mapping[str, Any],
    by: str,
    reason: str = "",
) -> list[AnyOp]:
    """The operations that change what is `asked`, by dotted key, and all that follows from it.

    A new strategy, or the same with other settings, gets the newest evaluation of every member
    again, by step and member; what it decides at once is part of the same record. Raises UsageError
    and InvalidSetting; then nothing is to be written.
    """
    check_keys(asked)
    now = effective.at(state)
    settings = _checked(now.manifest, {k: v for k, v in asked.items() if not is_of_strategy(k)})
    strategy = {key: value for key, value in asked.items() if is_of_strategy(key)}
    data = _described(now.rules, state, strategy, effective) if strategy else None
    new = {k: v for k, v in settings.items() if getattr(now.manifest, k) != v}
    if not new and data in (None, as_data(now.rules.mutator)):
        raise UsageError(f"{', '.join(asked)}: already so, nothing was changed")
    told = check_plain(dict(asked), "settings")
    op = SettingsChanged(by, told, new, data, reason)
    after = apply(state, [op], state.updated_at)
    then = effective.at(after).rules
    ops: list[AnyOp] = [op]
    if data is not None:
        ops += replayed(after, now.rules.mutator, then)
    elif "total_steps" in new:  # who is at its end now is not waited for any more
        ops += mutator_ops(after, then)
    return with_consequences(state, then, ops)


def _checked(manifest: Manifest, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, once an Experiment with them passes its own checks."""
    names = {f.name for f in dataclasses.fields(Experiment)} & set(CHANGEABLE)
    values = {name: getattr(manifest, name) for name in names} | dict(settings)
    if manifest.total_steps is None and "total_steps" not in settings:
        values["total_steps"] = 1
    Experiment(
        task=object,
        members=manifest.members,
        mutator=_Any(),
        initial_population=manifest.hparams,
        **values,
    )
    return {name: values[name] for name in settings}


def _described(
    rules: Rules, state: State, asked: Mapping[str, Any], effective: Effective
) -> dict[str, Any]:
    """The strategy that is asked for, as data from which every process makes the same one."""
    mutator = changed_strategy(rules.mutator, asked, effective.find)
    try:
        mutator.check(len(state.members), rules.space)
        data: dict[str, Any] = check_plain(as_data(mutator), "mutator")
        comes_back = bool(effective.strategy(data) == mutator)
    except FspopError:
        raise
    except Exception as error:  # a user's own strategy
        raise InvalidSetting(f"{mutator.name}: {describe_error(error)[0]}") from error
    if not comes_back:
        raise InvalidSetting(
            f"{mutator.name}: its settings do not come back as they were from a record; "
            "settings() must tell all that its constructor takes, as numbers, texts and lists"
        )
    return data


def replayed(state: State, former: Mutator, rules: Rules) -> list[AnyOp]:
    """What a strategy that begins in a run under way makes of what was reported before.

    Raises InvalidSetting where it raises on that.
    """
    view = view_of(state, rules)
    births: list[AnyOp] = []
    try:
        memory = rules.mutator.resume(view, former, copied(state.mutator))
        running = replace(state, mutator=check_plain(memory, "mutator state"))
        for member, report in newest_reports(state):
            if running.members[member].generation.id != report.generation:
                continue  # a decision of this very record replaced it
            seen = dataclasses.replace(view, reported=member, report=report)
            memory, born = decided(running, rules, seen)
            running = replace(apply(running, born, state.updated_at), mutator=memory)
            births += born
            view = view_of(running, rules) if born else view
    except Exception as error:  # the strategy may be a user's
        raise InvalidSetting(
            f"{rules.mutator.name}: it fails on what was reported so far: "
            f"{describe_error(error)[0]}; nothing was changed"
        ) from error
    return [*births, *changed_ops(state, running.mutator)]


def newest_reports(state: State) -> list[tuple[int, Evaluation]]:
    """The newest evaluation of each member's generation, by step and member."""
    found = []
    for member in state.members:
        scored = [e for e in member.generation.evaluations if e.value is not None or e.diverged]
        found += [(scored[-1].step, member.index, scored[-1])] if scored else []
    return [(member, report) for _, member, report in sorted(found, key=lambda f: f[:2])]
