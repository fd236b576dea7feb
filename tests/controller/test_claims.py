"""Who may train which member: terms, fences, takeovers, duplicates, and trouble that is bounded."""

import pytest

from fspop.controller import PopulationController, new_manifest
from fspop.controller.workforce import Workforce
from fspop.errors import DuplicateWorker, Fenced
from fspop.records import Checkpoint, Process, Reported
from fspop.storage import MemoryLog, MemoryStore
from tests.controller.strategies import CopyBest, Nothing


class Known:
    """A liveness whose dead are told."""

    def __init__(self):
        self.gone = set()

    def dead(self, state):
        return set(self.gone)


class Workers:
    """Worker processes of one run of `n` members, by name; `w("1b")` is worker 1, incarnation
    1b.
    """

    def __init__(self, n, mutator=None, **settings):
        self.mutator = mutator or Nothing()
        hparams = [{"lr": float(i)} for i in range(n)]
        settings = {"total_steps": 100, "report_every": 10, **settings}
        self.manifest = new_manifest(hparams, self.mutator, mode="min", seed=0, **settings)
        self.store, self.liveness = MemoryStore(), Known()

    def __call__(self, name):
        log = MemoryLog(self.store)
        controller = PopulationController.on_log(self.manifest, self.mutator, None, log)
        process = Process(name[0], name, host="h", pid=7, since=1.7e9)
        return Workforce(controller, process, self.liveness)

    def joined(self, *names):
        workers = [self(name) for name in names]
        for worker in workers:
            worker.join()
        return workers[0] if len(workers) == 1 else workers

    @property
    def state(self):
        return MemoryLog(self.store).refresh()


def trained(held, step, value=1.0, saved=True):
    checkpoint = Checkpoint(held.generation_id, step, f"p{step}", term=held.term) if saved else None
    return Reported(held.generation_id, step, value, checkpoint=checkpoint)


def holders(state):
    return [m.claim.incarnation if m.claim else None for m in state.members]


# ---- claiming ------------------------------------------------------------------------------------


def test_a_worker_claims_its_home_member_first():
    workers = Workers(3)
    a, b = workers.joined("2a", "0a")
    assert (a.claim().member, b.claim().member) == (2, 0)
    assert holders(workers.state) == ["0a", None, "2a"]


def test_a_worker_without_a_home_takes_the_one_furthest_behind():
    workers = Workers(2)
    a = workers.joined("0a")
    held = a.claim()
    a.report(held, trained(held, 5), may_move=False)
    a.release(held)
    assert workers.joined("x1").claim().member == 1


def test_nobody_gets_a_member_that_is_held():
    workers = Workers(2)
    a, b, c = workers.joined("0a", "1a", "2a")
    assert {a.claim().member, b.claim().member} == {0, 1}
    assert c.claim() is None


def test_idle_calls_write_nothing():
    workers = Workers(1)
    a, b = workers.joined("0a", "1a")
    a.claim()
    before = workers.state
    for _ in range(5):
        assert b.claim() is None
    assert workers.state == before


def test_each_claim_has_a_higher_term():
    workers = Workers(1)
    a = workers.joined("0a")
    terms = []
    for _ in range(4):
        held = a.claim()
        terms.append(held.term)
        a.release(held)
    assert terms == [1, 2, 3, 4]


def test_a_worker_holds_one_member_at_most_and_what_it_forgot_is_free_again():
    """The commit of its first claim ended in an error, but was recorded."""
    workers = Workers(3)
    a = workers.joined("1a")
    forgotten = a.claim()
    held = a.claim()
    assert (held.member, held.term) == (1, 2)
    assert holders(workers.state).count("1a") == 1
    with pytest.raises(Fenced):
        a.report(forgotten, trained(forgotten, 10))


def test_a_forgotten_claim_is_given_back_even_where_nothing_else_is_free():
    workers = Workers(1)
    a = workers.joined("0a")
    a.claim()
    assert a.claim().term == 2


# ---- fences --------------------------------------------------------------------------------------


def taken_over(workers):
    """Worker 0 was taken for dead while it trained, and worker 1 has its member now."""
    a, b = workers.joined("0a", "1a")
    mine = a.claim()
    workers.liveness.gone = {"0a"}
    return a, mine, b, b.claim()


def test_a_stale_term_writes_nothing():
    workers = Workers(1)
    a, mine, _, theirs = taken_over(workers)
    assert (theirs.member, theirs.term) == (mine.member, 2)
    before = workers.state
    report = trained(mine, 10)
    for call in (
        lambda: a.report(mine, report),
        lambda: a.poll(mine),
        lambda: a.fail(mine, "e", "t"),
        a.claim,
    ):
        with pytest.raises(Fenced):
            call()
    a.release(mine)
    assert workers.state == before


def test_the_message_of_a_fence_says_who_has_the_member():
    workers = Workers(1)
    a, mine, *_ = taken_over(workers)
    with pytest.raises(Fenced, match=r"member 0: term 1 is over, it is held by worker 1 \(term 2"):
        a.poll(mine)


def test_who_was_taken_for_dead_may_join_again():
    workers = Workers(2)
    a, *_ = taken_over(workers)
    with pytest.raises(Fenced, match="has to join again"):
        a.claim()
    workers.liveness.gone = set()
    a.join()
    assert a.claim().member == 1 or a.claim() is not None


def test_the_successor_goes_on_from_the_dead_ones_last_report():
    workers = Workers(1)
    a, b = workers.joined("0a", "1a")
    held = a.claim()
    a.report(held, trained(held, 10), may_move=False)
    workers.liveness.gone = {"0a"}
    after = b.claim()
    assert (after.step, after.params, after.resumes) == (10, "p10", True)


def test_a_report_buries_the_dead_so_that_others_need_not_wait():
    workers = Workers(2)
    a, b = workers.joined("0a", "1a")
    held, _ = a.claim(), b.claim()
    workers.liveness.gone = {"1a"}
    a.report(held, trained(held, 10))
    assert "1" not in workers.state.workers and workers.state.members[1].deaths == 1


# ---- joining -------------------------------------------------------------------------------------


def test_a_second_process_of_a_live_id_is_refused_by_name():
    workers = Workers(1)
    workers.joined("0a")
    words = r"worker 0 is already running on h, process 7, since 2023-11-14 22:13:20 UTC"
    with pytest.raises(DuplicateWorker, match=words) as raised:
        workers("0b").join()
    assert raised.value.attributes["process"].incarnation == "0a"
    assert raised.value.exit_code == 78


def test_a_successor_of_a_dead_process_gets_its_id_and_frees_its_member():
    workers = Workers(1)
    workers.joined("0a").claim()
    workers.liveness.gone = {"0a"}
    successor = workers.joined("0b")
    assert holders(workers.state) == [None] and successor.claim().term == 2


def test_joining_twice_is_joining_once():
    workers = Workers(1)
    a = workers.joined("0a")
    held, seq = a.claim(), workers.state.seq
    a.join()
    assert workers.state.seq == seq and a.poll(held) is None


def test_leaving_frees_everything_at_once_and_is_no_death():
    workers = Workers(1)
    a = workers.joined("0a")
    a.claim()
    a.leave()
    a.leave()
    state = workers.state
    assert (holders(state), state.workers, state.members[0].deaths) == ([None], {}, 0)


# ---- moving on -----------------------------------------------------------------------------------


def test_a_worker_whose_member_waits_moves_on_in_the_same_record():
    workers = Workers(2, CopyBest(10))
    a = workers.joined("0a")
    held = a.claim()
    seq = workers.state.seq
    outcome = a.report(held, trained(held, 10))
    assert (outcome.next.member, outcome.next.term) == (1, 1)
    assert workers.state.seq == seq + 1 and holders(workers.state) == [None, "0a"]


def test_one_worker_trains_a_whole_population_evenly_to_the_end():
    workers = Workers(3)
    a = workers.joined("0a")
    held, order = a.claim(), []
    while held is not None:
        order.append((held.member, held.step))
        held = a.report(held, trained(held, held.step + 10)).next
    assert [m.status for m in workers.state.members] == ["finished"] * 3
    assert len(order) == 30
    steps = [0, 0, 0]
    for member, _ in order:
        steps[member] += 10
        assert max(steps) - min(steps) <= 20
    assert a.claim() is None


def test_a_finished_member_is_neither_claimed_nor_decided_about():
    workers = Workers(2, CopyBest(10), total_steps=10)
    a = workers.joined("0a")
    held = a.claim()
    held = a.report(held, trained(held, 10)).next
    assert a.report(held, trained(held, 10)).next is None
    state = workers.state
    assert {m.status for m in state.members} == {"finished"} and state.n_decisions == 0


# ---- trouble is bounded --------------------------------------------------------------------------


def test_a_task_that_raises_is_tried_again_and_given_up_at_last():
    workers = Workers(1, max_attempts=3)
    a = workers.joined("0a")
    outcomes = [a.fail(a.claim(), "ValueError: x", "Traceback …") for _ in range(3)]
    member = workers.state.members[0]
    assert outcomes == [False, False, True]
    assert (member.status, member.error, member.claim) == ("failed", "ValueError: x", None)
    assert a.claim() is None


def test_a_checkpoint_gives_a_member_its_attempts_back():
    workers = Workers(1, max_attempts=2)
    a = workers.joined("0a")
    for step in (1, 2, 3, 4):
        assert not a.fail(a.claim(), "x", "")
        held = a.claim()
        a.report(held, trained(held, step), may_move=False)
        a.release(held)
    assert workers.state.members[0].status == "active"


def test_a_member_whose_workers_keep_dying_is_given_up_at_a_limit_of_its_own():
    workers = Workers(2, max_deaths=3, max_attempts=1)
    for n in range(3):
        name = f"0{n}"
        workers.joined(name).claim()
        workers.liveness.gone.add(name)
    survivor = workers.joined("1a")
    assert survivor.claim().member == 1
    member = workers.state.members[0]
    assert (member.status, member.deaths) == ("failed", 3)
    assert "died 3 times" in member.error and "out-of-memory" in member.error


def at_the_barrier(**settings):
    """Worker 1 waits at the barrier for member 0."""
    workers = Workers(2, CopyBest(10), **settings)
    b = workers.joined("1a")
    held = b.claim()
    held = b.report(held, trained(held, 10)).next
    b.release(held)
    return workers, b


def test_a_round_is_completed_by_giving_up_the_last_one_it_waits_for():
    workers, b = at_the_barrier(max_attempts=1)
    a = workers.joined("0a")
    assert a.fail(a.claim(), "x", "")
    assert b.claim().generation_id == "m001.g0002"


def test_a_round_is_completed_when_a_death_gives_up_the_last_one_it_waits_for():
    workers, b = at_the_barrier(max_deaths=1)
    workers.joined("0a").claim()
    workers.liveness.gone = {"0a"}
    assert b.claim().generation_id == "m001.g0002"


def test_a_round_is_completed_when_the_successor_of_the_dead_joins():
    """It is the join that finds one death too many; nobody else would ever ask again."""
    workers, _ = at_the_barrier(max_deaths=1)
    workers.joined("0a").claim()
    workers.liveness.gone = {"0a"}
    successor = workers.joined("0b")
    workers.liveness.gone = set()
    assert workers.state.members[0].status == "failed"
    assert successor.claim().generation_id == "m001.g0002"


def test_the_order_of_reports_does_not_change_a_synchronous_decision():
    ends = []
    for order in ((0, 1, 2), (2, 0, 1)):
        workers = Workers(3, CopyBest(10))
        crew = dict(zip(order, workers.joined(*(f"{i}a" for i in order)), strict=True))
        held = {i: crew[i].claim() for i in order}
        for i in order:
            crew[i].report(held[i], trained(held[i], 10, value=abs(i - 1)), may_move=False)
        state = workers.state
        ends.append(
            [(m.generation.id, m.generation.hparams, m.generation.parent) for m in state.members]
        )
    assert ends[0] == ends[1]
