"""`fspop init`: makes a directory a run."""

from fspop.cli import options
from fspop.records import Manifest


def command(
    target: options.Target,
    run_dir: options.RunDir = None,
    members: options.Members = None,
    seed: options.Seed = None,
    settings: options.Settings = None,
    code: options.Code = None,
) -> None:
    """Create a run from an experiment.

    Copies the experiment's code into DIR and checks that it imports from there, in a fresh process.
    DIR must be new or empty; a failure leaves it as it was.
    """
    root = options.needed_dir(run_dir)
    changed = options.overrides(members, seed, settings)
    from fspop.cli.creation import create

    manifest = create(target, root, changed, code)
    steps = f", {manifest.total_steps} steps each" if manifest.total_steps else ""
    print(
        f"created run {manifest.run} in {root}: {manifest.members} members{steps}, "
        f"mode {manifest.mode}, {manifest.mutator['name']}, seed {manifest.seed}"
    )
    for line in unlikely(manifest):
        print(line)
    print(f"next, on every machine with an id of its own: fspop worker --id 0 --dir {root}")


def unlikely(manifest: Manifest) -> list[str]:
    """What is allowed and yet hardly meant, a line each."""
    total, settings = manifest.total_steps, manifest.mutator["settings"]
    if total is None:
        return []
    lines = []
    if manifest.report_every > total:
        lines.append(f"note: report_every={manifest.report_every} is beyond {total} steps")
    if settings.get("time_unit", "steps") == "steps":
        lines += [
            f"note: mutator.{name}={settings[name]:g} is not below {total} steps, so nothing will "
            "be decided"
            for name in ("interval", "steps_per_exploit")
            if isinstance(settings.get(name), int | float) and settings[name] >= total
        ]
    return lines
