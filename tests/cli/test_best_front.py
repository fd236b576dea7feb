import json
import os

OBJECTIVES = """
import math

from fspop import Experiment, Uniform
from fspop.mutators import TruncationSelection

class Toy:
    def setup(self, context):
        self.context, self.g = context, 3.0

    def train(self, n_steps):
        self.g = 1 + (self.g - 1) * 0.97**n_steps

    def evaluate(self):
        x, g = self.context.hparams["x"], self.g
        return {"f1": x, "f2": g * (1 - math.sqrt(x / g)), "size": x}

    def state_dict(self):
        return {"g": self.g}

    def load_state_dict(self, state):
        self.g = state["g"]

experiment = Experiment(
    task=Toy, members=4, total_steps=60, report_every=10, front_size=5, tensorboard=False,
    objectives={"f2": "min", "f1": "min"}, constraints=["size >= 0.2"], ranking="hypervolume",
    reference={"f1": 1.1, "f2": 1.1},
    space={"x": Uniform(0.0, 1.0)}, mutator=TruncationSelection(interval=10, fraction=0.25),
)
"""


def test_a_front_through_real_processes_lies_on_disk_and_is_shown(fspop):
    (fspop.folder / "several.py").write_text(OBJECTIVES)
    fspop.good("run", "several.py", "--dir", "run", "--workers", "2")
    data = json.loads(fspop.good("best", "--dir", "run", "--json"))
    front = data["front"]
    assert 2 <= front["size"] == len(front["points"]) <= front["limit"] == 5
    assert all(os.path.isdir(point["checkpoint"]) for point in front["points"])
    assert all(
        point["objectives"]["f1"] >= 0.2 and not point["violation"] for point in front["points"]
    )
    seconds = [point["objectives"]["f1"] for point in front["points"]]
    assert seconds == sorted(seconds, reverse=True) and 0 < front["hypervolume"] < 0.8767
    assert data["value"] == front["points"][0]["objectives"]["f2"] and data["mode"] == "min"
    lines = fspop.good("best", "--dir", "run").splitlines()
    assert lines[0].startswith(f"front       {front['size']} of at most 5 checkpoints, hypervolume")
    assert lines[1].split() == ["f2", "f1", "size", "generation", "step", "checkpoint"]
    shown = fspop.good("status", "--dir", "run", COLUMNS="150")
    assert "(min f2, min f1, size >= 0.2), hypervolume 0." in shown.splitlines()[2]
    assert {"f1", "size"} <= set(shown.splitlines()[3].split())


def test_a_task_that_gives_one_number_for_two_objectives_is_told_what_to_return(fspop):
    text = OBJECTIVES.replace('return {"f1": x, "f2"', 'return 3 or {"f1": x, "f2"')
    (fspop.folder / "several.py").write_text(text)
    line = fspop.refused(70, "try", "several.py")
    assert "objectives and constraints are on f2, f1, size; return a mapping" in line


def test_objectives_that_cannot_be_are_refused_at_init(fspop, refused_here):
    (fspop.folder / "several.py").write_text(OBJECTIVES.replace(">= 0.2", "> 0.2"))
    assert "'size > 0.2'" in refused_here(78, "init", "several.py", "--dir", "run")
    (fspop.folder / "several.py").write_text(OBJECTIVES)
    line = refused_here(78, "init", "several.py", "--dir", "run", "--set", "metric=f1")
    assert "'f2', the first objective" in line
