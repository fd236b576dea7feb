"""What tests/conftest.py says of skipped tests, in one process and where tests run at once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = """
import pytest

@pytest.mark.parametrize("n", range(4))
def test_it(n):
    if n % 2:
        pytest.skip("gpu: none here")
"""
MISSING = """
import pytest

pytest.skip("no such program", allow_module_level=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [(), ("-n", "2", "--dist", "loadgroup")])
def test_skips_are_counted_and_those_without_an_allowed_reason_fail(parallel, tmp_path):
    def run(*words):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *parallel]
        done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout

    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    code, out = run("--allow-skips=gpu:")
    assert code == 0 and "2 skipped" in out and "    2 gpu: none here" in out
    (tmp_path / "test_missing.py").write_text(MISSING)
    code, out = run("--allow-skips=gpu:")
    assert code == 1 and "    1 NOT ALLOWED HERE no such program" in out
    assert run()[0] == 0
