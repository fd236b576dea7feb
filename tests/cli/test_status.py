import json
import os
import pty
import re
import subprocess
import sys

from tests.cli.conftest import PROJECT


def test_a_pipe_gets_plain_lines_of_80_columns(fspop, trained):
    head, score, titles, *rows = fspop.good("status", "--dir", "run").splitlines()
    assert head.startswith("run (run ") and "finished, 3 of 3 members finished" in head
    assert score.startswith("best ") and "12 evaluations" in score
    assert titles.split()[:4] == ["member", "generation", "step", "value"]
    assert len(rows) >= 3 and rows[0].split()[2] == "40" and rows[0].endswith("finished")
    assert max(map(len, [head, score, titles, *rows])) <= 80
    assert all(ord(c) < 128 and c.isprintable() for c in titles + "".join(rows))


def test_the_width_may_be_given(fspop, trained):
    wide = fspop.good("status", "--dir", "run", COLUMNS="200").splitlines()
    assert "best" in wide[2].split() and "no room" not in "".join(wide)
    narrow = fspop.good("status", "--dir", "run", COLUMNS="50").splitlines()
    assert "best" not in narrow[2].split() and "(no room in 50 columns: " in "".join(narrow)


def test_json_holds_everything(fspop, trained):
    data = json.loads(fspop.good("status", "--dir", "run", "--json"))
    assert (data["state"], data["finished"], data["evaluations"]) == ("finished", 3, 12)
    assert [m["step"] for m in data["members"]] == [40, 40, 40]
    assert data["best"]["checkpoint"].startswith(str(trained))
    assert os.path.isdir(data["best"]["checkpoint"])


def test_watching_goes_on_until_interrupted(fspop, run):
    process = fspop.start("status", "--dir", "run", "--watch", "--json")
    looks = [json.loads(process.stdout.readline()) for _ in range(2)]
    process.send_signal(2)
    assert process.wait(timeout=100) == 130 and len(looks) == 2
    process.communicate()


def test_a_member_that_raised_is_named(fspop, run):
    fspop.good("worker", "--id", "0", "--dir", "run", TOY_RAISES="1")
    out = fspop.good("status", "--dir", "run")
    assert "): failed, 0 of 3 members finished, 3 failed" in out
    assert "member 0 FAILED: ValueError: no data" in out
    assert f"'fspop retry --dir {run}'" in out


def on_a_terminal(words, folder, width=None):
    """What a command writes where a person watches; without a width nobody sized the terminal."""
    reader, writer = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    sized = {"COLUMNS": str(width)} if width else {}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "fspop", *words],
        stdin=writer,
        stdout=writer,
        stderr=writer,
        cwd=folder,
        env={**clean, "PYTHONPATH": str(PROJECT), "TERM": "xterm", **sized},
    )
    os.close(writer)
    shown = b""
    try:
        while chunk := os.read(reader, 65536):
            shown += chunk
    except OSError:  # Linux says EIO once the other end is closed
        pass
    os.close(reader)
    return process.wait(timeout=100), shown.decode()


def test_a_terminal_gets_colours(fspop, trained):
    code, shown = on_a_terminal(["status", "--dir", "run"], fspop.folder, 100)
    assert code == 0 and "\x1b[" in shown and "m000.g00" in shown


def test_a_terminal_without_a_size_has_80_columns(fspop, trained):
    code, shown = on_a_terminal(["status", "--dir", "run"], fspop.folder)
    assert code == 0 and "no room" not in shown  # it said 0 columns have
    assert {"best", "x", "state"} <= set(re.sub(r"\x1b\[\d+m", "", shown).split())


def test_a_run_on_a_terminal_draws_its_table(fspop):
    words = ["run", "toy.py", "--dir", "run", "--workers", "1"]
    code, shown = on_a_terminal(words, fspop.folder, 100)
    assert code == 0 and "worker 0 started" in shown and "━" in shown
    assert "3 of 3 members finished" in shown and "checkpoint  " in shown
