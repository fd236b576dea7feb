import pytest

from fspop.training.show import main
from tests.training.trainers import make


@pytest.fixture
def folder(tmp_path):
    make(tmp_path, num_epochs=1, save_best=True).fit()
    return tmp_path / "checkpoint"


def test_a_checkpoint_is_shown_key_by_key(folder, capsys):
    assert main([str(folder / "best_ck")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "task.model.head.weight: float32 (2, 6)" in lines
    assert "task.model_class.class: 'Net'" in lines and "task.iteration: 10" in lines


def test_a_history_is_shown_tag_by_tag_and_drawn(folder, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert main([str(folder / "ck_history.json"), "--plot", str(tmp_path / "h.png")]) == 0
    assert "acc/val" in capsys.readouterr().out and (tmp_path / "h.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing"], 78, "missing: there is no checkpoint"),
        (["missing.json"], 2, "there is no such history"),
        (["ck_checkpoints.json"], 78, "not a saved history"),
        (["best_ck", "--plot", "x.png"], 2, "is a checkpoint; give a"),
    ],
)
def test_what_cannot_be_shown_says_why(folder, capsys, monkeypatch, words, code, message):
    monkeypatch.chdir(folder)
    assert main(words) == code
    assert message in capsys.readouterr().err
