import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fspop import Experiment

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "fspop-worker@.service"
COMMAND = "/opt/fspop/.venv/bin/fspop"


def settings():
    """The unit's sections; a key that stands twice keeps its last value."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(UNIT)
    return parser


def verify(text, folder):
    """Runs systemd's own check on a unit whose program exists here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = folder / UNIT.name
    copy.write_text(text.replace(COMMAND, shutil.which("true")))
    command = ["systemd-analyze", "verify", str(copy)]
    return subprocess.run(command, capture_output=True, text=True)


def test_systemd_accepts_the_worker_unit_without_a_word(tmp_path):
    done = verify(UNIT.read_text(), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_would_find_a_misspelt_setting(tmp_path):
    done = verify(UNIT.read_text().replace("RestartSec=", "RestartSecs="), tmp_path)
    assert "RestartSecs" in done.stderr


def test_configuration_and_usage_errors_are_not_restarted():
    service = settings()["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"].split() == ["2", "78"]


def test_the_instance_is_the_worker_id_and_nothing_else_is_needed():
    assert settings()["Service"]["ExecStart"] == f"{COMMAND} worker --id %i"


def test_the_watchdog_is_slower_than_the_stall_timeout():
    minutes = int(settings()["Service"]["WatchdogSec"].removesuffix("min"))
    assert minutes * 60 > Experiment.stall_timeout_s


def test_every_setting_is_explained():
    block = re.split(r"\n\s*\n", UNIT.read_text())
    unexplained = [b for b in block if "=" in b and "#" not in b and "[Install]" not in b]
    assert unexplained == []


def test_the_example_environment_is_what_systemd_and_a_shell_can_read():
    lines = (SYSTEMD / "fspop-worker.env.example").read_text().splitlines()
    set_here = [line for line in lines if line and not line.startswith("# ")]
    assert any(line.startswith("FSPOP_DIR=") for line in set_here)
    assert all(re.fullmatch(r"#?[A-Z_]+=[^\s\"'$]+", line) for line in set_here)
