import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ["bin/test", "bin/quickstart", "bin/setup-venv", "bin/fspop-ssh", ".ci/run"]


def modules():
    return {p.relative_to(ROOT).as_posix() for p in (ROOT / "fspop").rglob("*.py")}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_executable_and_parses(script):
    assert (ROOT / script).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_every_folder_with_code_is_a_package():
    folders = {p.parent for p in (ROOT / "fspop").rglob("*.py")}
    assert [f for f in folders if not (f / "__init__.py").exists()] == []


def test_the_constraints_pin_every_dependency_that_pyproject_names():
    settings = project()["project"]
    groups = [settings["dependencies"], *settings["optional-dependencies"].values()]
    names = {re.match(r"[\w-]+", line)[0].lower() for group in groups for line in group}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert names <= pinned


def test_the_changelog_knows_the_version():
    import fspop

    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert "Unreleased" in headings or fspop.__version__ in headings


def test_the_wheel_holds_the_whole_package_and_nothing_else(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "fspop", source / "fspop")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", tmp_path, source], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("fspop-*.whl")
    names = [n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n]
    assert {n for n in names if n.endswith(".py")} == modules()
    assert [n for n in names if not n.endswith(".py")] == ["fspop/py.typed"]


def run_setup(folder, **environment):
    """Runs bin/setup-venv in a copy of the project's build files, with nothing to install from."""
    for name in ("bin/setup-venv", "pyproject.toml", "constraints.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    environment = {"PATH": "/bin:/usr/bin", **environment}
    command = [folder / "bin/setup-venv"]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_an_old_or_missing_python_is_one_clear_line(tmp_path):
    done = run_setup(tmp_path, FSPOP_PYTHON="/no/such/python")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "no Python 3.11 or newer" in done.stderr


def test_an_interrupted_installation_is_not_taken_for_a_good_one(tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    pip_fails = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "HOME": str(tmp_path)}
    # Not a venv of its own: pip must not be able to touch the environment that runs the tests.
    done = run_setup(tmp_path, PIP_REQUIRE_VIRTUALENV="1", **pip_fails)
    assert done.returncode != 0 and not (tmp_path / ".venv/fspop-stamp").exists()


SKIPPING = """
import pytest

def test_for_a_gpu():
    pytest.skip("gpu: no CUDA device here")

def test_that_lacks_something():
    pytest.skip("no sshd")
"""


def run_pytest(folder, source, *arguments):
    shutil.copy(ROOT / "tests/conftest.py", folder)
    (folder / "test_here.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", folder]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=folder)


def test_skipped_tests_are_counted_with_their_reasons(tmp_path):
    done = run_pytest(tmp_path, SKIPPING)
    assert done.returncode == 0
    assert "2 skipped" in done.stdout and "    1 no sshd" in done.stdout


def test_a_skip_that_is_not_allowed_fails_the_run(tmp_path):
    done = run_pytest(tmp_path, SKIPPING, "--allow-skips=gpu:")
    assert done.returncode == 1
    assert "1 NOT ALLOWED HERE no sshd" in done.stdout


def test_a_module_that_skips_itself_fails_the_run_too(tmp_path):
    source = "import pytest\npytest.importorskip('no_such_module')"
    assert run_pytest(tmp_path, source, "--allow-skips=gpu:").returncode in (1, 5)


def test_allowed_skips_let_the_run_pass(tmp_path):
    source = SKIPPING.partition("def test_that")[0]
    assert run_pytest(tmp_path, source, "--allow-skips=gpu:").returncode == 0
