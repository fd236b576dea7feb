import msgspec
import pytest

from fspop.controller import new_manifest
from fspop.mutators import TruncationSelection
from fspop.records import Born, Checkpoint, Claimed, Created, Joined, Process, Reported, State
from fspop.report.status import Observed, describe
from fspop.storage.fold import apply
from fspop.storage.heartbeat import Heartbeat

NOW = 1_000_000.0


class Scene:
    """A run of three members whose state is made by folding operations."""

    def __init__(self, root):
        hparams = [{"lr": 0.1 * (i + 1), "net": {"width": 8}, "kind": "abc"[i]} for i in range(3)]
        mutator = TruncationSelection(interval=10)
        self.root = root
        self.manifest = new_manifest(hparams, mutator, mode="max", seed=0, total_steps=100)
        self.state = State()
        self.beats, self.dead = {}, set()
        self.fold(
            Created(3, "max"), *(Born(i, 1, h, reason="first") for i, h in enumerate(hparams))
        )

    def fold(self, *ops):
        state = apply(self.state, ops, NOW - 10)
        self.state = msgspec.structs.replace(state, seq=self.state.seq + 1, updated_at=NOW - 4)

    def score(self, member, step, value=None, params="path", **fields):
        generation = self.state.members[member].generation.id
        path = f"checkpoints/{generation}/step-{step}"
        checkpoint = Checkpoint(generation, step, path if params == "path" else params)
        self.fold(Reported(generation, step, value=value, checkpoint=checkpoint, **fields))

    def work(self, worker, member, age_s=1.0, host="node-a", since_s=500, **beat):
        """A worker joins, claims the member (None: waits), and its heartbeat is so old."""
        incarnation = f"{worker:08x}"
        self.fold(Joined(Process(str(worker), incarnation, host=host, pid=7, since=NOW - since_s)))
        fields = {"doing": "waiting", "time": NOW - age_s, **beat}
        if member is not None:
            term = self.state.members[member].term + 1
            self.fold(Claimed(member, term, str(worker), incarnation))
            generation = self.state.members[member].generation.id
            fields = {"member": member, "generation": generation, **fields, "doing": "training"}
        self.beats[incarnation] = Heartbeat(str(worker), incarnation, 1, 1, 1.0, **fields)

    def look(self):
        return describe(self.manifest, self.state, Observed(self.root, NOW, self.beats, self.dead))


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)
