import collections
import enum
from pathlib import Path

import numpy as np
import pytest
import torch

from fspop.errors import TaskError
from fspop.training import load_checkpoint, save_checkpoint
from fspop.training.plain_state import like, plain


class Mood(enum.Enum):
    GOOD = "good"


STATE = {
    "milestones": collections.Counter({3: 1, 6: 2}),
    "parts": [{"counts": collections.Counter({1: 1})}],
    "best": np.float64(0.5),
    "curve": np.arange(3),
    "names": {"b", "a"},
    "path": Path("x/y"),
    "mood": Mood.GOOD,
    "flag": True,
    "betas": (0.9, 0.99),
}


def test_a_state_of_other_types_can_be_saved_and_comes_back_in_them(tmp_path):
    made = plain(STATE)
    save_checkpoint(tmp_path / "saved", made)
    loaded = load_checkpoint(tmp_path / "saved")
    assert loaded["milestones"] == {3: 1, 6: 2} and type(loaded["milestones"]) is dict
    assert loaded["names"] == ["a", "b"] and loaded["flag"] is True
    back = like(STATE, loaded)
    assert torch.equal(back.pop("curve"), torch.arange(3))
    wanted = {name: each for name, each in STATE.items() if name != "curve"}
    assert back == wanted
    same_kinds = ("milestones", "names", "mood", "betas")
    assert all(type(back[name]) is type(STATE[name]) for name in same_kinds)
    assert type(back["parts"][0]["counts"]) is collections.Counter


@pytest.mark.parametrize("value", [b"", [b""], 2**3000, {"n": -(2**2001)}])
def test_what_torch_would_not_load_again_is_refused_when_it_is_saved(value, tmp_path):
    with pytest.raises(TaskError, match="got"):
        save_checkpoint(tmp_path / "g" / "c", {"x": value})


@pytest.mark.parametrize("value", [b"x", 2**1900, -(2**64)])
def test_what_is_let_through_comes_back(value, tmp_path):
    save_checkpoint(tmp_path / "g" / "c", {"x": value})
    assert load_checkpoint(tmp_path / "g" / "c") == {"x": value}
