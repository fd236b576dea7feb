import sys

import pytest

from fspop.experiment_code import load

TOY = """
from fspop import Experiment, Uniform
from fspop.mutators import TruncationSelection

class Toy:
    setup = train = evaluate = state_dict = load_state_dict = None

experiment = Experiment(
    task=Toy, members=4, mode="max", total_steps=100, space={"x": {"y": Uniform(0.0, 1.0)}},
    mutator=TruncationSelection(interval=10),
)
"""


@pytest.fixture
def toy():
    return TOY


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "code").mkdir()
    return tmp_path / "code"


@pytest.fixture(autouse=True)
def own_imports(monkeypatch):
    """What a test loads is forgotten again."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    monkeypatch.setattr(load, "_current", None)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]
