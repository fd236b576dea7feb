"""Toy problems through the real decisions: members take turns, each training to its next report."""

import random

from fspop.seeds import Rng, derive_seed
from tests.mutators.driver import Population


def begin(problem, mutator, seed, members=None, mode="max", **more):
    """A population on `problem`; its members are those of the problem unless told otherwise."""
    rng = Rng(seed, [0] * (members or problem.members))
    first = [
        problem.first_hparams(i, rng.member(i, "initial"))
        for i in range(members or problem.members)
    ]
    mutator.check(len(first), problem.space)
    more = {"space": problem.space, "total_steps": problem.total_steps, **more}
    return Population(mutator, first, mode, seed, **more)


def turn(p, problem, member, limit, saw=None, spoil=None, restarted=False):
    """Trains one member to its next report; False where it waits or is done."""
    if restarted:
        p.restart()
    generation = p.generation(member)
    if p.state.members[member].status != "active" or (
        limit is not None and generation.step >= limit
    ):
        return False
    step, params = generation.step, p.params(member)
    stop = min(step + problem.round_steps, limit or step + problem.round_steps)
    rng = random.Random(derive_seed(p.rules.seed, generation.id, step))
    params = problem.begin(member) if params is None else params
    done = problem.train(params, generation.hparams, stop - step, rng)
    if saw:
        saw(member, step, done)
    bad = spoil(member, stop) if spoil else ""
    p.report(
        member,
        stop,
        None if bad else done.value,
        bad,
        params=done.params,
        metrics={
            "curve": done.curve,
            "epoch": stop / 12,
            **getattr(problem, "metrics", lambda done: {})(done),
        },
        train_s=float(stop - generation.start_step),
    )
    return True


def run(problem, mutator, seed, until=lambda p: False, order=None, between=None, **more):
    """The population after all members finished, or as soon as `until` says so."""
    turns = {key: more.pop(key) for key in ("saw", "spoil", "restarted") if key in more}
    p = begin(problem, mutator, seed, **more)
    while not until(p):
        members = list(range(len(p.state.members)))
        if order:
            order.shuffle(members)
        limits = p.limits()
        moved = [m for m in members if turn(p, problem, m, limits[m], **turns)]
        if not moved:
            assert all(m.status != "active" for m in p.state.members), "it hangs"
            break
        if between:
            between(p)
    return p


def final_best(p):
    """The best score among the members' last ones."""
    last = [m.generation.evaluations[-1].value for m in p.state.members if m.generation.evaluations]
    return max(value for value in last if value is not None)
