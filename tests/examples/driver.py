"""Trains one member of an example as a worker does; as a script, in a process of its own.

python -m tests.examples.driver EXAMPLE FOLDER FROM_STEP TO_STEP EVERY
"""

import importlib.util
import json
import sys
from pathlib import Path

from fspop.training import Context, load_checkpoint, random_state, save_checkpoint

ROOT = Path(__file__).parents[2]


def load_module(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_experiment(name):
    return load_module(name).experiment


def begin(experiment, folder, step=0, data=None):
    """Member 0's task at `step`, restored from `folder` where that is not 0."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    hparams = experiment.first_hparams()[0]
    task = experiment.task()
    random_state.seed_all(5)
    context = Context(
        member=0, generation="m000.g0001", hparams=hparams, seed=5, step=step, data=data
    )
    task.setup(context)
    if step:
        state = load_checkpoint(folder / f"step-{step}")
        task.load_state_dict(state["task"])
        random_state.restore(state["random"])
    task.apply_hparams(hparams)
    assert task.effective_hparams() == hparams
    return task


def go_on(task, folder, start, stop, every):
    """Trains, evaluates and saves in turn; the digests of the checkpoints by step."""
    digests = {}
    for step in range(start + every, stop + 1, every):
        task.train(every)
        task.evaluate()
        state = {"task": task.state_dict(), "random": random_state.capture()}
        digests[str(step)] = save_checkpoint(folder / f"step-{step}", state).digest
    return digests


if __name__ == "__main__":
    name, folder, *steps = sys.argv[1:]
    start, stop, every = map(int, steps)
    task = begin(load_experiment(name), Path(folder), start)
    print(json.dumps(go_on(task, Path(folder), start, stop, every)))
