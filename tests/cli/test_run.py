import os
import re
import signal
import socket
import time

from fspop.storage import read_run


def read_until(process, pattern):
    """The first line of its output that matches, as a match."""
    for line in process.stdout:
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"{pattern} never came: {process.stderr.read()}")


def wait_until_training(fspop):
    deadline = time.monotonic() + 100
    while not any(m.claim for m in read_run(fspop.folder / "run")[1].members):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_whole_run_on_one_machine(fspop):
    out = fspop.good("run", "toy.py", "--dir", "run", "--workers", 2)
    assert "worker 1 started" in out and "worker 1 finished" in out
    assert "100%, step 40 of 40, best " in out and "3 of 3 finished, 0 workers" in out
    assert re.search(r"^checkpoint  /.*/run/checkpoints/m", out, re.MULTILINE)
    assert fspop.good("best", "--dir", "run") in out


def test_a_run_that_never_decided_says_so_at_the_end(fspop):
    words = ["run", "toy.py", "--dir", "run", "--workers", 1, "--set", "mutator.interval=500"]
    assert "the strategy made no decision" in fspop.good(*words).splitlines()[-1]


def test_a_finished_run_only_shows_its_best(fspop, trained):
    for words in (["toy.py"], []):
        out = fspop.good("run", *words, "--dir", "run")
        assert "run is finished; for more steps" in out
        assert "started" not in out and "value " in out


def test_a_run_goes_on_without_its_file_and_with_its_own_copy_of_it(fspop, run):
    (fspop.folder / "toy.py").write_text("not what it was")
    out = fspop.good("run", "--dir", "run", "--workers", 1)
    assert "worker 0 finished" in out and "3 of 3 finished" in out


def test_a_new_run_needs_a_file(refused_here):
    message = refused_here(78, "run", "--dir", "new")
    assert "no such directory; create a run with" in message
    assert "--code: give FILE too" in refused_here(2, "run", "--dir", "new", "--code", ".")


def test_a_run_that_a_program_made_has_no_workers_to_start(fspop, refused_here):
    from fspop import PopulationController
    from fspop.mutators import FixedSchedule

    PopulationController([{"x": 1}], FixedSchedule({0: {"x": 1}}), fspop.folder / "made")
    assert "start that program" in refused_here(78, "run", "--dir", "made")


def test_a_worker_that_is_killed_is_started_again(fspop):
    process = fspop.start("run", "toy.py", "--dir", "run", "--workers", 1, TOY_STEP_S="0.02")
    os.kill(int(read_until(process, r"worker 0 started, pid (\d+)")[1]), signal.SIGKILL)
    read_until(process, "worker 0 was ended by SIGKILL; starting it again")
    process.communicate(timeout=100)
    assert process.returncode == 0
    assert read_run(fspop.folder / "run")[1].members[0].status == "finished"


def test_ctrl_c_lets_the_workers_save_and_the_same_command_goes_on(fspop):
    words = ["run", "toy.py", "--dir", "run", "--workers", "1"]
    process = fspop.start(*words, TOY_STEP_S="0.1")
    pid = int(read_until(process, r"worker 0 started, pid (\d+)")[1])
    wait_until_training(fspop)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 130 and "stopping" in out and not exists(pid)
    *_, last = out.splitlines()
    assert last == "stopped: all workers saved and ended; the same command goes on with the run"
    state = read_run(fspop.folder / "run")[1]
    assert state.workers == {} and all(m.claim is None for m in state.members)
    assert "3 of 3 finished" in fspop.good(*words)


def test_sigterm_stops_it_as_cleanly(fspop):
    process = fspop.start("run", "toy.py", "--dir", "run", "--workers", 1, TOY_STEP_S="0.1")
    read_until(process, "worker 0 started")
    wait_until_training(fspop)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 130 and "\nstopped: all workers" in out
    assert read_run(fspop.folder / "run")[1].workers == {}


def test_another_experiment_does_not_go_on_with_a_run(fspop, refused_here, run):
    (fspop.folder / "other.py").write_text((fspop.folder / "toy.py").read_text())
    assert "its file and digest differ from other.py's" in refused_here(
        78, "run", "other.py", "--dir", "run"
    )
    assert "its attribute" in refused_here(78, "run", "toy.py:large", "--dir", "run")
    with (fspop.folder / "toy.py").open("a") as file:
        file.write("# another")
    assert "its digest differs from toy.py's" in refused_here(78, "run", "toy.py", "--dir", "run")


def test_other_settings_do_not_go_on_with_a_run(refused_here, run):
    line = refused_here(78, "run", "toy.py", "--dir", "run", "--seed", 7)
    assert "was created with seed=0, not 7" in line and "fspop set" not in line
    line = refused_here(78, "run", "toy.py", "--dir", "run", "--set", "total_steps=7")
    assert "was created with total_steps=40, not 7" in line
    assert "change it with 'fspop set --dir run total_steps=7'" in line
    line = refused_here(78, "run", "toy.py", "--dir", "run", "--set", "mutator.interval=7")
    assert "was created with mutator.interval as FILE says, not 7" in line


def test_saying_again_what_the_run_was_created_with_is_accepted(fspop, trained):
    words = ["--seed", 0, "--members", 3, "--set", "total_steps=40"]
    assert "run is finished" in fspop.good("run", "toy.py", "--dir", "run", *words)


def test_workers_that_need_a_person_end_it_with_their_line(fspop, run):
    done = fspop("run", "toy.py", "--dir", "run", "--workers", 1, "--device", "nosuch")
    assert done.returncode == 78
    assert "worker 0 ended with exit code 78: --device: got 'nosuch'" in done.stderr


def test_code_that_is_not_what_the_run_began_with_starts_no_worker(fspop, refused_here, run):
    with (run / "experiment/toy.py").open("a") as file:
        file.write("# another")
    for words in (["toy.py"], []):
        assert "not the code that run" in refused_here(78, "run", *words, "--dir", "run")


def test_a_run_whose_members_all_failed_says_so_and_goes_on_after_a_retry(fspop):
    words = ["run", "toy.py", "--dir", "run", "--workers", 1]
    done = fspop(*words, TOY_RAISES="1")
    assert done.returncode == 70 and done.stderr.count("\n") == 1
    assert "every member has failed, member 2 with ValueError: no data" in done.stderr
    assert "'fspop status --json --dir " in done.stderr and "'fspop retry --dir " in done.stderr
    assert "member 0 FAILED: ValueError: no data" in done.stdout
    assert "every member has failed" in fspop.refused(70, *words)
    fspop.good("retry", "--dir", "run")
    assert "3 of 3 finished" in fspop.good(*words)


def test_a_second_command_on_a_run_that_trains_names_the_first_ones_worker(fspop):
    words = ["run", "toy.py", "--dir", "run", "--workers", 1]
    first = fspop.start(*words, TOY_STEP_S="0.2")
    pid = read_until(first, r"worker 0 started, pid (\d+)")[1]
    wait_until_training(fspop)
    line = fspop.refused(78, *words)
    assert f"worker 0 is already running on {socket.gethostname()}, process {pid}, perhaps" in line
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=100)


def test_two_commands_that_begin_at_once_make_one_run(fspop):
    words = ["run", "toy.py", "--dir", "run", "--workers", 1]
    both = [fspop.start(*words), fspop.start(*words)]
    said = ["".join(process.communicate(timeout=100)) for process in both]
    assert {process.returncode for process in both} <= {0, 78}, said
    assert sum("created run" in text for text in said) == 1
    assert all("is already running" in s for s, p in zip(said, both, strict=True) if p.returncode)


def test_a_run_without_one_score_is_no_success(fspop):
    words = ["run", "toy.py", "--dir", "run", "--workers", 1]
    for _ in range(2):
        line = fspop(*words, TOY_VALUE="nan").stderr
        assert "without one score: evaluate() is nan (member 0)" in line
        assert f"see 'fspop status --dir {fspop.folder}/run'" in line
    assert "no evaluation of it counts" in fspop.refused(70, "best", "--dir", "run")
