import os


def test_a_rehearsal_says_what_it_saw_and_leaves_nothing(fspop):
    out = fspop.good("try", "toy.py", "--steps", 20).splitlines()
    assert out[0].startswith("member 0 on cpu with x=0.")
    assert any(line.startswith("evaluate at step 0: 0, in ") for line in out)
    assert any(line.startswith("train: 20 steps in ") for line in out)
    assert out[-1] == "restored: the same score, and the same state after 20 more steps"
    assert os.listdir(fspop.folder) == ["toy.py"]


def test_a_task_that_forgets_is_found_out(fspop):
    out = fspop.good("try", "toy.py", TOY_FORGETS="1")
    assert "restored: another score than the original's" in out


def test_what_the_task_raises_keeps_its_traceback(fspop):
    done = fspop("try", "toy.py", TOY_RAISES="1")
    assert done.returncode == 70 and 'raise ValueError("no data")' in done.stderr
    assert done.stderr.splitlines()[-1] == "fspop: error: train: ValueError: no data"


def test_a_score_that_does_not_count_is_an_error(fspop):
    assert "counts as diverged" in fspop.refused(70, "try", "toy.py", TOY_VALUE="nan")


def test_another_member_and_other_settings_may_be_tried(fspop):
    out = fspop.good(
        "try", "toy.py:large", "--member", 5, "--seed", 3, "--set", "space.x.high=0.11"
    )
    assert out.startswith("member 5 on cpu with x=0.1")
    assert "members 0 to 2" in fspop.refused(2, "try", "toy.py", "--member", 3)
