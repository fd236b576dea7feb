"""Every name in a run directory, and the way back from a name to its meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fspop.errors import InvalidId
from fspop.paths import RunPaths

PATHS = RunPaths("/run/x")
numbers = st.integers(0, 10**12 - 1)


@given(numbers)
def test_a_records_name_is_its_number_and_nothing_elses(seq):
    name = PATHS.record(seq).name
    assert PATHS.record_seq(name) == seq
    assert PATHS.attempt_seq(name) is None and PATHS.segment_range(name) is None


@given(numbers, st.integers(1, 99))
def test_a_temporary_says_what_it_was_meant_for_and_is_no_record(seq, attempt):
    name = PATHS.attempt(seq, "ab12cd.7", attempt).name
    assert PATHS.attempt_seq(name) == seq and PATHS.record_seq(name) is None


@given(numbers, numbers)
def test_names_sort_as_their_numbers_do_and_temporaries_before_all(a, b):
    assert (PATHS.record(a).name < PATHS.record(b).name) == (a < b)
    assert PATHS.attempt(a, "x", 1).name < PATHS.record(b).name


@given(numbers, numbers)
def test_a_segments_name_says_what_it_holds(first, last):
    assert PATHS.segment_range(PATHS.segment(first, last).name) == (first, last)


@pytest.mark.parametrize(
    "name", ["x", "12.json", "000000000001.json.bak", ".000000000001.json", "000000000001.json\n",
             "\u0661" * 12 + ".json", "0000000000001.json"],
)  # fmt: skip
def test_other_names_are_no_records(name):
    assert PATHS.record_seq(name) is None


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_checkpoints_folder_says_step_and_term(step, term):
    path = PATHS.checkpoint("m003.g0007", step, term)
    assert PATHS.checkpoint_step_term(path.name) == (step, term)
    assert path.parent == PATHS.root / "checkpoints" / "m003.g0007"


@pytest.mark.parametrize("strange", ["../x", "m1.g1", "", "m003.g0007/.."])
def test_a_checkpoint_of_no_generation_has_no_path(strange):
    with pytest.raises(ValueError, match="not a generation id"):
        PATHS.checkpoint(strange, 1, 1)


@pytest.mark.parametrize("worker", ["0", "gpu.7", "a.b.c"])
def test_a_heartbeats_name_says_whose_it_is(worker):
    path = PATHS.heartbeat(worker, "0123abcd")
    assert PATHS.heartbeat_owner(path.name) == (worker, "0123abcd")


@pytest.mark.parametrize("worker", ["../x", "a/b", "", ".x"])
def test_an_id_never_leads_out_of_its_folder(worker):
    for name in (lambda: PATHS.heartbeat(worker, "0123abcd"), lambda: PATHS.worker_log(worker)):
        with pytest.raises(InvalidId):
            name()


def test_what_is_recorded_is_relative_so_that_a_run_may_be_mounted_anywhere():
    path = PATHS.checkpoint("m003.g0007", 1200, 5)
    assert PATHS.relative(path) == "checkpoints/m003.g0007/step-000001200.t5"


def test_folders_come_parents_first():
    seen = {PATHS.root}
    for folder in PATHS.folders():
        assert folder.parent in seen
        seen.add(folder)
