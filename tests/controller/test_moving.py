"""Which member a worker trains next, with one worker for several members."""

from fspop.controller import PopulationController, new_manifest
from fspop.controller.liveness import Liveness, this_process
from fspop.controller.workforce import Workforce
from fspop.mutators import TruncationSelection
from fspop.paths import RunPaths
from fspop.records import Checkpoint, Reported

TOTAL, EVERY, MEMBERS = 200, 10, 3


def lone_worker(root):
    """A joined worker of a run that copies the best of three members over the worst."""
    hparams = [{"lr": 0.1 * (i + 1)} for i in range(MEMBERS)]
    mutator = TruncationSelection(2 * EVERY, fraction=0.34, explore=lambda hparams, rng: hparams)
    settings = {"mode": "max", "seed": 0, "total_steps": TOTAL, "report_every": EVERY}
    manifest = new_manifest(hparams, mutator, **settings)
    PopulationController.create(root, manifest, mutator)
    controller = PopulationController.open(root, mutator)
    workforce = Workforce(controller, this_process("0"), Liveness(RunPaths(root), 120.0, 900.0))
    workforce.join()
    return workforce


def train(workforce, score):
    """Until the run is finished; returns the members in the order of their reports."""
    order, held = [], workforce.claim()
    while held:
        step = held.step + EVERY
        saved = Checkpoint(held.generation_id, step, params="x", term=held.term, digest="d")
        report = Reported(held.generation_id, step, score(step, held.hparams), checkpoint=saved)
        order.append(held.member)
        held = workforce.report(held, report).next or workforce.claim()
    return order


def test_a_member_that_became_a_copy_does_not_keep_its_worker_from_the_others(tmp_path):
    workforce = lone_worker(tmp_path)
    order = train(workforce, lambda step, hparams: -step - hparams["lr"])  # who is ahead is worst
    assert workforce.state.n_decisions > 3
    assert len(order) < 1.5 * MEMBERS * TOTAL / EVERY  # it was nearly three times as many


def test_members_stay_within_one_interval_of_each_other(tmp_path):
    workforce, spreads = lone_worker(tmp_path), []

    def score(step, hparams):
        steps = [member.generation.step for member in workforce.state.members]
        spreads.append(max(steps) - min(steps))
        return step * hparams["lr"]

    train(workforce, score)
    assert max(spreads) <= 2 * EVERY
