"""`fspop retry`: failed members get new attempts, on record."""

import pytest

from fspop.records import Retried
from fspop.storage import read_history, read_run
from tests.cli.conftest import TOY


@pytest.fixture
def failed(fspop, run):
    """A run whose members have all failed for a reason that is gone."""
    fspop.good("worker", "--id", "0", "--dir", "run", TOY_RAISES="1")
    return run


def retried(run):
    """What the records say was tried again, one list for each record."""
    found = ([op for op in r.ops if isinstance(op, Retried)] for r in read_history(run))
    return [ops for ops in found if ops]


def test_all_failed_members_are_tried_again_in_one_record(fspop, failed):
    out = fspop.good("retry", "--dir", "run")
    assert out.startswith("members 0, 1, 2 may be trained again; ")
    assert "fspop worker --id 0 --dir run" in out
    ((first, *others),) = retried(failed)
    assert first.member == 0 and "@" in first.by and [op.member for op in others] == [1, 2]
    fspop.good("worker", "--id", "0", "--dir", "run")
    assert "finished, 3 of 3 members finished" in fspop.good("status", "--dir", "run")


LATE = """
from fspop.mutators import WelchTTest

class Late(Toy):
    def train(self, n_steps):
        if self.context.step >= 20 and os.environ.get("LATE_RAISES"):
            raise ValueError("no data")
        super().train(n_steps)

experiment = Experiment(
    task=Late, members=3, mode="max", total_steps=40, report_every=10,
    space={"x": Uniform(0.1, 1.0)}, mutator=WelchTTest(interval=10, synchronous=True),
    tensorboard=False,
)
"""


def test_members_that_wait_for_each_other_go_on_in_the_round_they_failed_in(fspop):
    (fspop.folder / "late.py").write_text(TOY + LATE)
    words = ["run", "late.py", "--dir", "run", "--workers", 1]
    assert "every member has failed" in fspop(*words, LATE_RAISES="1").stderr
    fspop.good("retry", "--dir", "run")
    assert "3 of 3 finished" in fspop.good(*words)


def test_one_member_may_be_named(fspop, failed):
    assert fspop.good("retry", "--dir", "run", "--member", 1).startswith("member 1 may be")
    assert [m.status for m in read_run(failed)[1].members] == ["failed", "active", "failed"]
    shown = fspop.good("status", "--dir", "run")
    assert "member 1 is tried again; it had failed with ValueError: no data" in shown


def test_a_member_that_has_not_failed_is_refused_and_nothing_recorded(refused_here, run):
    assert "no member has failed" in refused_here(2, "retry", "--dir", "run")
    line = refused_here(2, "retry", "--dir", "run", "--member", 1)
    assert line == "--member: got 1, which has not failed, it is active; no member has"
    assert "there are members 0 to 2" in refused_here(2, "retry", "--dir", "run", "--member", 3)
    assert retried(run) == []


def test_members_beside_one_that_has_not_failed_stay_as_they_are(fspop, failed):
    fspop.good("retry", "--dir", "run", "--member", 0)
    words = ["retry", "--dir", "run", "--member", 1, "--member", 0]
    assert "got 0, which has not failed, it is active; failed: 1, 2" in fspop.refused(2, *words)
    assert len(retried(failed)) == 1


def test_somebody_without_a_name_is_a_number(monkeypatch):
    from fspop.cli import person

    monkeypatch.setattr(person.os, "getuid", lambda: 1234)
    monkeypatch.setattr(person.getpass, "getuser", lambda: {}["no such user"])
    assert person.person().startswith("1234@")
