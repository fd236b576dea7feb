"""Deleting checkpoint folders: nothing that a record names, nothing of a term that still runs."""

from fspop.paths import RunPaths
from fspop.training.saver import Saver
from fspop.worker.cleanup import delete_retired, sweep
from fspop.worker.session import Session
from tests.worker.tasks import Walk, make_run, make_workforce


def test_a_sweep_removes_what_dead_terms_left_unnamed_and_nothing_else(tmp_path):
    experiment, _ = make_run(tmp_path)
    paths, workforce = RunPaths(tmp_path), make_workforce(tmp_path, experiment)
    held = workforce.claim()
    session = Session(paths, Walk, held, Saver(), seed=0)
    workforce.report(held, session.complete(session.draft()), may_move=False)
    generation = paths.generation_checkpoints(held.generation_id)
    leftovers = ["step-000000005.t1", ".step-000000009.t1.0123456789abcdef.tmp"]
    others = ["step-000000005.t2", ".step-000000009.t2.0123456789abcdef.tmp", "notes"]
    for name in leftovers + others:
        (generation / name).mkdir()
    workforce.release(held)
    assert workforce.claim().term == 2
    sweep(paths, workforce.state, held.member)
    assert sorted(p.name for p in generation.iterdir()) == sorted([*others, "step-000000000.t1"])


def test_retired_folders_go_and_so_does_an_empty_generation(tmp_path):
    experiment, _ = make_run(tmp_path)
    paths, workforce = RunPaths(tmp_path), make_workforce(tmp_path, experiment)
    session = Session(paths, Walk, workforce.claim(), Saver(), seed=0)
    saved = session.complete(session.draft()).checkpoint
    delete_retired(paths, [saved])
    assert list(paths.checkpoints.iterdir()) == []
    delete_retired(paths, [saved])  # again is harmless


def test_a_symlink_is_never_followed(tmp_path):
    experiment, _ = make_run(tmp_path / "run")
    paths, workforce = RunPaths(tmp_path / "run"), make_workforce(tmp_path / "run", experiment)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    held = workforce.claim()
    session = Session(paths, Walk, held, Saver(), seed=0)
    saved = session.complete(session.draft()).checkpoint
    folder = paths.checkpoint(saved.generation, saved.step, saved.term)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "precious")
    delete_retired(paths, [saved])
    assert (tmp_path / "precious" / "file").exists()
