"""What the pages show works: their Python runs, their links lead somewhere, every verb is in them.

A block of Python whose first line is `# NAME.py` is an experiment file and is rehearsed with
`fspop try`; the other blocks of a page are one program, run from its top.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fspop import Experiment
from fspop.cli.app import VERBS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")
LINK = re.compile(r"\]\(([^)\s]+)\)")
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
}


def blocks(page):
    """The Python of a page: experiment files by name, and the rest in order."""
    found = PYTHON.findall(page.read_text())
    files = {match[1]: block for block in found if (match := FILE.match(block))}
    return files, [block for block in found if not FILE.match(block)]


def name(page):
    return page.relative_to(ROOT).as_posix()


def case(block, page, *more):
    """A test case; one that imports torch is slow."""
    marks = [pytest.mark.slow, pytest.mark.timeout(300)] if "torch" in block.lower() else []
    return pytest.param(page, *more, id=":".join([name(page), *more]), marks=marks)


EXPERIMENTS = [case(block, p, file) for p in PAGES for file, block in blocks(p)[0].items()]
PROGRAMS = [case(p.read_text(), p) for p in PAGES if blocks(p)[1]]


def fspop(folder, *words):
    command = [sys.executable, "-m", "fspop", *words]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("page", "file"), EXPERIMENTS)
def test_an_experiment_in_a_page_goes_on_from_its_checkpoint_to_the_same_bit(page, file, tmp_path):
    (tmp_path / file).write_text(blocks(page)[0][file])
    out = fspop(tmp_path, "try", file, "--steps", "20")
    assert out.splitlines()[-1].startswith("restored: the same score, and the same state")


def prepare_results(folder):
    """The run that docs/results.md begins with, but a short one."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    short = ["--workers", "1", "--members", "2", "--set", "total_steps=100"]
    fspop(folder, "run", "examples/digits.py", "--dir", "runs/digits", *short)


PREPARATIONS = {"docs/results.md": prepare_results}


@pytest.mark.parametrize("page", PROGRAMS)
def test_the_other_python_of_a_page_runs_from_its_top(page, tmp_path):
    PREPARATIONS.get(name(page), lambda folder: None)(tmp_path)
    program = tmp_path / "program.py"
    program.write_text("\n".join(blocks(page)[1]))
    done = subprocess.run(
        [sys.executable, program], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_python_in_the_pages_that_show_it():
    assert {"README.md:experiment.py", "docs/tasks.md:letters.py"} <= {p.id for p in EXPERIMENTS}
    assert {"docs/controller.md", "docs/results.md"} <= {p.id for p in PROGRAMS}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text())]
    relative = [link for link in links if link and "://" not in link]
    assert [link for link in relative if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_pages(verb):
    assert any(f"fspop {verb}" in page.read_text() for page in PAGES)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=name)
def test_the_readme_leads_to_every_page(page):
    assert f"(docs/{page.name})" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("field", dataclasses.fields(Experiment), ids=lambda field: field.name)
def test_every_setting_of_an_experiment_is_on_its_page_with_its_default(field):
    page = (ROOT / "docs" / "experiment.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{field.name}` ")]
    default = row.split("|")[2].strip()
    if field.default_factory is not dataclasses.MISSING:
        wanted = f"`{field.default_factory()!r}`"
    elif field.default is dataclasses.MISSING:
        wanted = ""
    else:
        wanted = "none" if field.default is None else f"`{field.default!r}`".replace("'", '"')
    assert default == wanted
