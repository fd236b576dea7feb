"""What a strategy may get wrong, and what becomes of it: a report on record, and nobody wedged."""

import pytest

from fspop import PopulationController
from fspop.controller.decide import Rules, view_of
from fspop.mutators.base import Decision
from fspop.records import Point
from fspop.storage import MemoryLog, MemoryStore
from tests.controller.strategies import CopyBest, Decides, Meddles, Raises

HPARAMS = [{"lr": 0.1}, {"lr": 0.2}]


def controller_of(mutator):
    return PopulationController(HPARAMS, mutator)


def report(controller, member, step, value=1.0):
    generation = controller.state.members[member].generation.id
    controller.set_eval(member, generation, step, f"p{member}.{step}", value)
    return controller.state


@pytest.mark.parametrize("method", ["update", "train_until", "keeps"])
def test_a_strategy_that_raises_costs_no_report_and_says_so(method):
    controller = controller_of(Raises(method))
    for step in (5, 10):
        state = report(controller, 0, step)
    assert [e.step for e in state.members[0].generation.evaluations] == [5, 10]
    assert state.mutator_error == f"RuntimeError: {method} is broken"
    assert "Traceback" in state.mutator_traceback and state.mutator_error_seq > 0
    assert state.mutator == {}


def test_it_is_asked_again_at_each_report_and_an_end_of_the_trouble_is_on_record():
    controller = controller_of(Raises("update", until=20))
    assert report(controller, 0, 10).mutator_error
    state = report(controller, 0, 20)
    assert state.mutator_error == "" and state.mutator == {"seen": 20}


def test_an_end_of_the_trouble_is_noticed_without_a_change_of_the_strategys_state():
    calm = []
    controller = controller_of(Decides(lambda view: [] if calm else 1 / 0))
    assert report(controller, 0, 10).mutator_error == "ZeroDivisionError: division by zero"
    calm.append(True)
    assert report(controller, 0, 20).mutator_error == ""


def test_a_failing_strategy_holds_nobody():
    rules = Rules(Raises("train_until"), 0, total_steps=50)
    state = report(controller_of(Raises("train_until")), 0, 10)
    assert rules.limits(state) == [50, 50]


def test_a_poll_hook_that_raises_is_recorded_once_not_at_every_poll():
    controller = controller_of(Raises("on_poll"))
    report(controller, 0, 5)
    for _ in range(5):
        assert controller.maybe_get_worker_data(0, "m000.g0001", 6) is None
    state = controller.state
    assert state.mutator_error == "RuntimeError: on_poll is broken" and state.seq == 3


OWN = Point("m000.g0001", 10)


def decision(member=0, source=OWN, hparams=None, reason="r"):
    return Decision(member, source, {"lr": 1.0} if hparams is None else hparams, reason)


@pytest.mark.parametrize(
    ("decisions", "error"),
    [
        ([decision(member=9)], "member 9, which does not exist"),
        ([decision(member=-1)], "member -1, which does not exist"),
        ([decision(member=0.5)], "TypeError"),
        ([decision(), decision()], "decided twice for member 0"),
        ([decision(source=Point("m001.g0001", 3))], "m001.g0001 at step 3, but no checkpoint"),
        ([decision(hparams={"lr": float("nan")})], "lr: got nan"),
        ([decision(hparams={1: 2})], "keys of plain data are strings"),
        ([decision(hparams={"f": print})], "plain data"),
        (None, "TypeError"),
        (["nonsense"], "AttributeError"),
    ],
)
def test_a_decision_that_makes_no_sense_is_an_error_and_not_half_done(decisions, error):
    state = report(controller_of(Decides(lambda view: decisions)), 0, 10)
    assert error in state.mutator_error
    assert [m.generation.id for m in state.members] == ["m000.g0001", "m001.g0001"]
    assert state.n_evaluations == 1


def test_a_reason_may_be_anything_that_has_a_text():
    state = report(controller_of(Decides(lambda view: [decision(reason=42)])), 0, 10)
    assert state.members[0].generation.reason == "42"
    state = report(controller_of(Decides(lambda view: [decision(reason="\udcff")])), 0, 10)
    assert state.members[0].generation.reason == "\\udcff"


def test_an_error_text_that_json_cannot_hold_is_recorded_all_the_same():
    def fails(view):
        raise OSError(2, "No such file", "caf\udce9")

    state = report(controller_of(Decides(fails)), 0, 10)
    assert state.mutator_error.startswith("FileNotFoundError") and state.n_evaluations == 1


def test_a_strategy_that_modifies_what_it_is_given_modifies_only_copies():
    store = MemoryStore()
    first = controller_of(Meddles())
    log = MemoryLog(store)
    controller = PopulationController.on_log(first.manifest, Meddles(), None, log)
    state = report(controller, 0, 10)
    assert state.members[0].generation.hparams == {"lr": 0.1}
    assert state.mutator == {"list": [1, 2], "nested": {"a": 1, "b": 2}}
    assert MemoryLog(store).refresh() == state


def test_a_view_holds_what_a_strategy_may_see():
    controller = controller_of(CopyBest())
    state = report(controller, 0, 4, float("nan"))
    view = view_of(state, controller.rules(state), 0)
    member = view.members[0]
    assert (member.step, member.start_step, member.diverged) == (4, 0, True)
    assert member.restart == member.checkpoints[-1] and view.reported == 0


def test_a_checkpoint_that_was_retired_is_not_started_from():
    """The origin of a live generation is named in the state long after its folder is gone."""
    later = []
    choose = Decides(lambda view: [decision(1, later[0])] if later else [])
    controller = controller_of(Decides(lambda view: []))
    controller.rules = lambda state: Rules(choose, 0)
    for step in (10, 20, 30, 40):
        report(controller, 0, step, -float(step))
    retired = Point("m000.g0001", 10)
    assert retired not in {c.point for c in controller.state.kept}
    later.append(retired)
    assert "no checkpoint is kept there" in report(controller, 0, 50).mutator_error
