"""Tasks of the integrations driven by hand, as a worker drives them."""

import contextlib
import copy

import torch

from fspop.training import Context, random_state, save_checkpoint


@contextlib.contextmanager
def begun(make, hparams, state=None, *, total_steps=60, seed=5):
    """A task with its hparams applied, restored from `state` where there is one."""
    random_state.seed_all(seed)
    task = make()
    context = Context(
        member=0, generation="m000.g0001", hparams=hparams, seed=seed, total_steps=total_steps
    )
    task.setup(context)
    try:
        if state is not None:
            task.load_state_dict(copy.deepcopy(state))
        task.apply_hparams(hparams)
        random_state.seed_all(1)
        yield task
    finally:
        task.close()


def bits(task, tmp_path):
    """A digest of all that the next step depends on; what it is of can be loaded safely."""
    number = len(list(tmp_path.iterdir()))
    return save_checkpoint(tmp_path / f"bits{number}", {"task": task.state_dict()}).digest


def goes_on_as_if_never_stopped(make, hparams, tmp_path, *, before, after):
    """Whether one restored after `before` steps is the same `after` more, in other stretches."""
    with begun(make, hparams) as task:
        task.train(before)
        state, numbers = copy.deepcopy(task.state_dict()), random_state.capture()
        task.train(after)
        wanted = bits(task, tmp_path)
    with begun(make, hparams, state) as restored:
        restored.evaluate()
        random_state.restore(numbers)
        for _ in range(after):
            restored.train(1)
        return bits(restored, tmp_path) == wanted


def momenta(state_of_optimizer):
    """The momentum buffers in an optimizer's state_dict."""
    return [each["momentum_buffer"] for each in state_of_optimizer["state"].values()]


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))
