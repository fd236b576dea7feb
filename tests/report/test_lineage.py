import pytest

from fspop.errors import Damaged, InvalidId
from fspop.recipe import Segment
from fspop.records import FORMAT, Born, Checkpoint, Record
from fspop.report.lineage import Ancestor, lineage
from fspop.report.winning import segments


def record(seq, *ops):
    return Record(FORMAT, seq, f"t.{seq}", "", 100.0 + seq, "0", list(ops))


def born(member, index, parent=None, step=0):
    origin = Checkpoint(parent, step) if parent else None
    return Born(member, index, {"lr": index}, origin, f"because {index}")


def test_a_line_leads_to_a_first_generation():
    records = [
        record(0, born(0, 1), born(1, 1)),
        record(1, born(0, 2, "m001.g0001", 10)),
        record(2, born(1, 2, "m000.g0002", 20)),
    ]
    line = lineage(records, "m001.g0002")
    assert [a.generation for a in line] == ["m001.g0002", "m000.g0002", "m001.g0001"]
    assert [a.step for a in line] == [20, 10, 0]
    assert line[-1].parent is None and line[0].reason == "because 2" and line[0].time == 102.0


def test_a_schedule_has_a_segment_for_each_change_of_hparams():
    line = [ancestor(40, 3), ancestor(30, 3), ancestor(30, 2), ancestor(10, 1), ancestor(0, 1)]
    assert segments(line) == [Segment(0, 1), Segment(30, 3)]


def ancestor(step, hparams):
    return Ancestor(f"m000.g{step:04d}", 0, step, hparams, None, "", 0.0)


def test_a_generation_nobody_issued_is_refused():
    with pytest.raises(InvalidId, match="never issued"):
        lineage([record(0, born(0, 1))], "m009.g0001")


def test_a_parent_that_was_never_born_is_damage():
    with pytest.raises(Damaged, match="does not lead"):
        lineage([record(0, born(0, 1, "m003.g0001", 5))], "m000.g0001")


def test_a_circle_of_parents_is_damage():
    records = [record(0, born(0, 1, "m001.g0001", 5), born(1, 1, "m000.g0001", 5))]
    with pytest.raises(Damaged, match="does not lead to a root"):
        lineage(records, "m000.g0001")
