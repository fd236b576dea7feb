import json
import random
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch

from fspop.training import random_state

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def untouched():
    """Gives the generators back as they were found."""
    before = random_state.capture()
    yield
    random_state.restore(before)


def draw():
    """Some of each generator, with the normal draws that keep a second value for later."""
    return [
        [random.random(), random.gauss(0, 1)],
        [numpy.random.rand(), numpy.random.randn()],
        [*torch.randn(3).tolist(), *torch.rand(20).tolist()],
    ]


def test_the_numbers_go_on_where_they_were_captured():
    draw()
    state = random_state.capture()
    first = draw()
    assert draw() != first
    random_state.restore(state)
    assert draw() == first


def test_a_captured_state_is_plain_json():
    draw()
    state = random_state.capture()
    assert json.loads(json.dumps(state, allow_nan=False)) == state


def test_capture_after_restore_gives_the_same_state():
    draw()
    state = random_state.capture()
    draw()
    random_state.restore(state)
    assert random_state.capture() == state


def test_a_fresh_process_goes_on_with_the_same_numbers():
    draw()
    state = json.dumps(random_state.capture())
    program = (
        "import json, sys; from fspop.training import random_state\n"
        "random_state.restore(json.load(sys.stdin))\n"
        "import random, numpy, torch\n"
        "print(json.dumps([[random.random(), random.gauss(0, 1)],"
        " [numpy.random.rand(), numpy.random.randn()],"
        " [*torch.randn(3).tolist(), *torch.rand(20).tolist()]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        input=state,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == draw()


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_a_seed_fixes_every_generator(seed):
    random_state.seed_all(seed)
    first = draw()
    random_state.seed_all(seed)
    assert draw() == first
    random_state.seed_all(seed ^ 1)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_only_what_is_imported_is_captured():
    program = (
        "import sys; from fspop.training import random_state; random_state.seed_all(1)\n"
        "assert list(random_state.capture()) == ['python']\n"
        "import numpy; random_state.seed_all(1)\n"
        "assert list(random_state.capture()) == ['python', 'numpy']\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.gpu
def test_the_numbers_of_a_gpu_go_on_where_they_were_captured():
    torch.rand(1, device="cuda")
    state = random_state.capture("cuda:0")
    first = torch.rand(5, device="cuda:0")
    random_state.restore(state, "cuda:0")
    assert torch.equal(torch.rand(5, device="cuda:0"), first)
