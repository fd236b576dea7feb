"""What a reader makes of a directory that others, time and a bad server have worked on."""

import os
import shutil

import pytest

from fspop.errors import Damaged, NotARun, UnknownFormat
from fspop.storage import reader
from tests.storage.stores import begin, numbers, report, small_log


def fresh(paths):
    return small_log(paths)


@pytest.fixture
def listings(monkeypatch):
    """Counts the listings of the log, without waiting between them."""
    monkeypatch.setattr(reader.time, "sleep", lambda s: None)
    seen = []

    def counted(folder):
        seen.append(folder.name)
        return os.listdir(folder)

    monkeypatch.setattr(reader, "list_names", counted)
    return seen


def test_a_gap_is_damage_after_five_listings(paths, log, listings):
    for n in range(4):
        report(log, n)
    paths.record(2).unlink()
    listings.clear()
    with pytest.raises(Damaged, match="record 2 is missing though later ones exist"):
        fresh(paths).refresh()
    assert listings == ["log"] * 5


def test_a_gap_that_closes_is_no_damage(paths, log, monkeypatch):
    for n in range(4):
        report(log, n)
    hidden = paths.record(2).rename(paths.root / "hidden")
    late = fresh(paths)
    monkeypatch.setattr(reader.time, "sleep", lambda s: hidden.exists() and back(hidden, paths))
    assert late.refresh() == log.refresh()


def back(hidden, paths):
    os.link(hidden, paths.record(2))
    hidden.unlink()


def test_nothing_is_written_onto_a_gap(paths, log, listings):
    for n in range(4):
        report(log, n)
    paths.record(2).unlink()
    names = sorted(os.listdir(paths.log))
    with pytest.raises(Damaged):
        report(fresh(paths), 9)
    assert sorted(os.listdir(paths.log)) == names


def test_a_flipped_bit_stops_everybody_and_names_the_file(paths, log, listings):
    for n in range(4):
        report(log, n)
    raw = bytearray(paths.record(3).read_bytes())
    raw[40] ^= 1
    paths.record(3).write_bytes(raw)
    for attempt in (fresh(paths).refresh, lambda: report(fresh(paths), 9)):
        with pytest.raises(Damaged, match=r"000000000003.json: its checksum does not match"):
            attempt()


def test_a_record_of_another_chain_is_found_by_the_digest_it_quotes(paths, log, tmp_path, listings):
    for n in range(4):
        report(log, n)
    other = small_log(make_other(tmp_path))
    begin(other, n_members=1)
    report(other, 1)
    shutil.copy(other._paths.record(1), paths.record(3))
    with pytest.raises(Damaged, match="does not follow record 2"):
        fresh(paths).refresh()


def make_other(tmp_path):
    from tests.storage.stores import make_paths

    return make_paths(tmp_path / "other")


def test_a_record_of_another_format_asks_for_an_upgrade(paths, log):
    paths.record(1).write_bytes(b'{"format":9}\n')
    with pytest.raises(UnknownFormat, match="upgrade fspop"):
        log.refresh()


def test_a_tail_that_a_server_lost_is_forgotten_by_those_who_saw_it(paths, log):
    for n in range(4):
        report(log, n)
    paths.record(4).unlink()
    paths.record(3).unlink()
    assert log.refresh().seq == 3
    assert report(log, 7).record.seq == 3
    assert fresh(paths).refresh() == log.refresh()


def test_a_lost_tail_that_others_wrote_anew_is_noticed_before_building_on_it(paths, log):
    other = fresh(paths)
    for n in range(4):
        report(log, n)
    assert other.refresh().seq == 5
    paths.record(4).unlink()
    report(fresh(paths), 77)
    report(log, 78)
    assert other.refresh() == log.refresh() == fresh(paths).refresh()


def test_a_lost_last_record_of_the_same_number_is_noticed_by_the_next_commit(paths, log):
    other = fresh(paths)
    report(log, 1)
    assert other.refresh().seq == 2
    paths.record(1).unlink()
    fresh_one = report(fresh(paths), 77)
    seen = []
    other.commit("w", lambda state: seen.append(state) or [])
    assert seen == [fresh_one.state]


def test_everything_lost_means_beginning_again(paths, log):
    report(log, 1)
    for name in os.listdir(paths.log):
        (paths.log / name).unlink()
    assert log.refresh().seq == 0
    assert begin(log).record.seq == 0


def test_names_below_the_newest_snapshot_are_garbage(paths, log):
    others = fresh(paths)
    for n in range(20):
        report(log, n)
    assert paths.snapshot(16).exists() and not paths.record(3).exists()
    paths.record(3).write_bytes(paths.record(17).read_bytes())
    paths.record(others.refresh().seq - 8).write_bytes(b"torn")
    assert fresh(paths).refresh() == others.refresh() == log.refresh()
    assert report(fresh(paths), 99).record.seq == 21


@pytest.mark.parametrize(
    "junk",
    [
        "zzz",
        "000000000099.json.bak",
        "~",
        "\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0669\u0669.json",
        "x.json",
    ],
)
def test_files_that_are_no_records_do_no_harm(paths, log, junk):
    (paths.log / junk).write_text("?")
    (paths.snapshots / junk).write_text("?")
    (paths.history / junk).write_text("?")
    for n in range(20):
        report(log, n)
    assert fresh(paths).refresh() == log.refresh()
    assert len(numbers(log_records(paths))) == 20


def log_records(paths):
    from fspop.storage.snapshot import read_records

    return list(read_records(paths, 8))


@pytest.mark.parametrize("act", ["refresh", "commit"])
def test_a_deleted_run_is_not_made_anew(paths, log, act):
    shutil.rmtree(paths.root)
    with pytest.raises(NotARun, match="the run directory is gone; nothing was created"):
        log.refresh() if act == "refresh" else report(log, 1)
    assert not paths.root.exists()


def test_a_reader_needs_no_right_to_write(paths, log):
    report(log, 1)
    before = sorted(p.name for p in paths.controller.rglob("*"))
    reader_log = fresh(paths)
    assert reader_log.refresh() == log.refresh()
    assert sorted(p.name for p in paths.controller.rglob("*")) == before


def test_a_symbolic_link_is_not_followed(paths, log, tmp_path):
    report(log, 1)
    real = paths.record(1).rename(tmp_path / "elsewhere")
    paths.record(1).symlink_to(real)
    with pytest.raises(Exception, match="symbolic links"):
        small_log(paths, patience_s=0.0).refresh()


def test_reading_costs_two_listings_and_no_read_when_nothing_changed(paths, log, listings):
    for n in range(5):
        report(log, n)
    log.refresh()
    listings.clear()
    opened = []
    original = os.open
    try:
        os.open = lambda *a, **k: opened.append(a) or original(*a, **k)
        log.refresh()
    finally:
        os.open = original
    assert listings == ["log"] and opened == []


def test_a_reader_that_compaction_outruns_again_and_again_is_not_told_of_damage(
    paths, log, monkeypatch
):
    """Each snapshot it has just listed is gone when it wants to load it."""
    original, runs, slow = reader.newest_snapshot, [], fresh(paths)

    def listed_then_slept(where):
        newest = original(where)
        if len(runs) < 7:
            runs.append(newest)
            monkeypatch.setattr(reader, "newest_snapshot", original)
            for n in range(24):
                report(log, 1000 * len(runs) + n)
            monkeypatch.setattr(reader, "newest_snapshot", listed_then_slept)
        return newest

    monkeypatch.setattr(reader.time, "sleep", lambda s: None)
    for n in range(20):
        report(log, n)
    monkeypatch.setattr(reader, "newest_snapshot", listed_then_slept)
    assert slow.refresh() == log.refresh() and len(runs) == 7
