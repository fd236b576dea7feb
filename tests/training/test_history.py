import json
import math

import pytest
import torch

from fspop.errors import Damaged, UsageError
from fspop.training import History


def filled():
    history = History()
    for i in range(1, 6):
        history.add("loss/train", i, torch.tensor(1.0 / i, requires_grad=True))
    history.add("loss/val", 5, math.nan)
    history.add("acc/val", 5, 0.5)
    history.add("speed", 2, -math.inf)
    return history


def test_series_are_read_by_tag():
    history = filled()
    assert history.tags() == ["loss/train", "loss/val", "acc/val", "speed"]
    assert history.get("loss/train") == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert history.get("missing") is None and history.last("missing") is None
    assert history.points("loss/train", 4) == [(5, pytest.approx(0.2))]
    assert history.last("acc/val") == (5, 0.5) and history.count("loss/train") == 5
    assert set(history.at(5, "/val")) == {"loss/val", "acc/val"} and not history.at(4, "/val")


def test_a_saved_history_is_plain_json_and_comes_back_exactly(tmp_path):
    filled().save(tmp_path / "history.json")
    assert History.read(tmp_path / "history.json") == filled()
    data = json.loads((tmp_path / "history.json").read_text(), parse_constant=pytest.fail)
    assert data["history"]["speed"]["values"] == ["-inf"]


def test_the_state_holds_tensors_and_loads_exactly():
    other = History()
    other.add("old", 1, 1.0)
    other.load(filled().state())
    assert other == filled() and other != History()
    other.add("loss/train", 6, 0.1)
    assert other.count("loss/train") == 6


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"history": {"a": {}}}', '{"history": 3}'])
def test_a_file_that_is_no_history_is_damage(tmp_path, text):
    (tmp_path / "h.json").write_text(text)
    with pytest.raises(Damaged, match=r"h\.json: not a saved history"):
        History.read(tmp_path / "h.json")


def test_a_value_that_is_no_number_adds_nothing():
    history = filled()
    with pytest.raises((TypeError, ValueError)):
        history.add("loss/train", 9, "high")
    assert history == filled()


def test_a_summary_has_a_line_for_each_tag():
    lines = filled().summary().splitlines()
    assert len(lines) == 4 and lines[0].split()[:3] == ["loss/train", "5", "points"]
    assert History().summary() == "nothing measured yet"


def test_plots_are_images(tmp_path):
    pytest.importorskip("matplotlib")
    filled().plot(tmp_path / "all.png")
    filled().plot(tmp_path / "some.svg", ["acc/val", "loss/val"])
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "some.svg").read_text()
    with pytest.raises(UsageError, match=r"no 'los/val'; did you mean 'loss/val'\?"):
        filled().plot(tmp_path / "none.png", ["los/val"])


@pytest.mark.gpu
def test_values_on_an_accelerator_wait_until_they_are_read():
    history = History()
    for i in range(600):
        history.add("loss/train", i, torch.tensor(float(i), device="cuda"))
    assert history.get("loss/train") == [float(i) for i in range(600)]


@pytest.mark.parametrize("value", [None, "high", torch.ones(2)])
def test_a_tag_whose_only_value_was_refused_is_not_there(value):
    history = History()
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        history.add("x", 1, value)
    assert history.tags() == [] and history.summary() == "nothing measured yet"
    history.add("x", 1, torch.ones(1))
    assert history.points("x") == [(1, 1.0)]
