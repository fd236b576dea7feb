import json
import re
import signal
import time

import pytest

from fspop.cli.replay_verdict import judge
from fspop.recipe import read_recipe


def test_a_schedule_is_written_in_every_form(fspop, trained):
    for form, suffix in [("json", "json"), ("toml", "toml"), ("csv", "csv")]:
        path = fspop.folder / f"best.{suffix}"
        path.write_text(fspop.good("schedule", "--dir", "run", "--as", form))
        assert read_recipe(path).segments[0].step == 0
    best = json.loads(fspop.good("best", "--dir", "run", "--json"))
    recipe = read_recipe(fspop.folder / "best.toml")
    assert recipe.generation == best["generation"] and recipe.value == best["value"]
    assert recipe.segments[-1].hparams == best["hparams"]
    assert "def hparams_at" in fspop.good("schedule", "--dir", "run", "--as", "python")


def test_a_member_has_a_schedule_too(fspop, trained):
    shown = json.loads(fspop.good("schedule", "--dir", "run", "--member", "1"))
    assert shown["generation"].startswith("m001.") and shown["until"] == 40


def test_a_replay_trains_the_schedule_again_and_goes_on(fspop, trained):
    words = ["replay", "--dir", "run", "--workers", "1", "--json"]
    data = json.loads(fspop.good(*words, "--seeds", "3"))
    best = json.loads(fspop.good("best", "--dir", "run", "--json"))
    assert data["original"] == best["value"] and data["step"] == 40
    assert data["replays"] == pytest.approx([data["original"]] * 3)  # this toy has no luck
    assert data["verdict"]["made_by"] == "schedule"
    assert json.loads(fspop.good(*words)) == data
    assert "holds a replay on 3 seeds, not 4" in fspop.refused(78, *words, "--seeds", "4")
    status = json.loads(fspop.good("status", "--dir", "run-replay", "--json"))
    assert status["mutator"]["name"] == "Replay" and status["finished"] == 3
    assert "is a replay itself" in fspop.refused(2, "replay", "--dir", "run-replay")


def test_a_replay_that_was_killed_goes_on(fspop, trained):
    words = ["replay", "--dir", "run", "--workers", "1", "--seeds", "2", "--to", "again"]
    process = fspop.start(*words, TOY_STEP_S="0.2")
    log = fspop.folder / "again/logs/worker-0.log"
    while not (log.exists() and "step 10: " in log.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    out = fspop.good(*words)
    assert "going on with the replay of" in out and "The schedule made the score" in out
    assert max(map(len, out.splitlines()[-4:])) <= 80
    member = int(re.search(r"the replay of m(\d+)", out)[1])
    line = fspop.refused(78, *words, "--member", (member + 1) % 3)
    assert "holds a replay of m" in line and "give another --to" in line


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["schedule", "--dir", "run", "--as", "yaml"], 2, "give one of python, json, csv, toml"),
        (["schedule", "--dir", "run", "--member", "7"], 2, "a member from 0 to 2"),
        (["schedule", "--dir", "run", "--member", "x"], 2, "give best, or a member"),
        (["schedule", "--dir", "run"], 75, "no evaluation counts so far"),
        (["replay", "--dir", "run"], 75, "no evaluation counts so far"),
        (["replay", "--dir", "run", "--member", "1"], 75, "has no score to compare with"),
        (["replay", "--dir", "nope"], 78, "nope: no such directory"),
        (["replay", "--dir", "run", "--to", "run"], 78, "which is no replay of run"),
    ],
)
def test_bad_input_is_one_line(refused_here, run, words, code, message):
    assert message in refused_here(code, *words)


def test_luck_is_told_from_the_schedule():
    lucky = judge(1.0, [0.8, 0.81, 0.79, 0.8, 0.82], "max")
    assert lucky.made_by == "luck" and lucky.rank == 1 and lucky.p < 0.05
    assert judge(0.8, [0.8, 0.81, 0.79], "max").made_by == "schedule"
    assert judge(0.5, [0.8, 0.81, 0.79], "min").made_by == "luck"
    worse = judge(0.5, [0.8, 0.81, 0.79], "max")
    assert worse.made_by == "schedule" and worse.rank == 4
    assert judge(0.5, [0.4, 0.4], "max").made_by == "luck"
    assert judge(0.5, [0.5], "max").made_by == "unknown"
    ahead_of_few = judge(0.99, [0.71, 0.80], "max")
    assert ahead_of_few.made_by == "unknown" and "cannot tell" in ahead_of_few.sentence
    assert "better than the original shows" in worse.sentence
    assert "No replay has a score" in judge(0.5, [None, None], "max").sentence
