import subprocess
import sys

import pytest

import fspop as package
from fspop.cli import app


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("verb", app.VERBS)
def test_every_verb_has_help(verb, option, capsys):
    assert app.run([verb, option]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: fspop {verb}" in shown and len(shown.splitlines()) > 6


def test_without_a_verb_there_is_help(capsys):
    assert app.run([]) == 0
    assert "Usage: fspop" in capsys.readouterr().out


def test_the_help_has_a_line_for_each_verb(capsys):
    app.run(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for verb in app.VERBS:
        (line,) = [line for line in lines if line.startswith(f"  {verb} ")]
        assert line.endswith(".") and "..." not in line


def test_the_version_is_told(capsys):
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"fspop {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["statsu"], "No such command 'statsu'. Did you mean 'status'? (see 'fspop --help')"),
        (["init"], "Missing argument 'FILE' (see 'fspop init --help')"),
        (["worker", "--dir", "x"], "Missing option '--id' (see 'fspop worker --help')"),
        (["status", "--nope"], "No such option: --nope (see 'fspop status --help')"),
    ],
)
def test_a_command_line_without_sense_is_one_line(words, message, capsys):
    assert app.run(words) == 2
    assert capsys.readouterr().err == f"fspop: error: {message}\n"


def test_a_folder_too_many_is_perhaps_the_run(tmp_path, capsys):
    assert app.run(["status", str(tmp_path)]) == 2
    assert f"did you mean --dir {tmp_path}? (see" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("x"), OSError("y")])
def test_the_unexpected_shows_a_traceback_and_asks_for_a_report(monkeypatch, capsys, error):
    def fail(run_dir):
        raise error

    monkeypatch.setattr("fspop.cli.options.needed_dir", fail)
    assert app.run(["status"]) == 70
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith("Traceback") and "please report it" in shown[-1]


def test_a_file_system_error_that_slips_through_is_one_line(monkeypatch, capsys):
    def fail(run_dir):
        raise PermissionError(13, "Permission denied", "/there")

    monkeypatch.setattr("fspop.cli.options.needed_dir", fail)
    assert app.run(["status"]) == 78
    assert capsys.readouterr().err.startswith("fspop: error: cannot use /there: Permission denied")


def test_debugging_shows_the_traceback_of_an_expected_error(monkeypatch, capsys):
    monkeypatch.setenv("FSPOP_DEBUG", "1")
    assert app.run(["ls", "/not/there"]) == 2
    assert capsys.readouterr().err.startswith("Traceback")


def test_a_pipe_that_is_closed_is_no_bug(fspop, trained):
    process = fspop.start("status", "--dir", "run", "--watch")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=100) == 1
    assert process.stderr.read() == ""


def test_looking_at_a_run_loads_nothing_heavy(trained):
    program = f"""
import sys
from fspop.cli.app import run
code = run(["status", "--dir", {str(trained)!r}])
print(code, *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    code, *loaded = done.stdout.splitlines()[-1].split()
    heavy = {"torch", "numpy", "pydantic", "rich", "toy"}
    assert code == "0" and "msgspec" in loaded and not heavy & set(loaded)
