"""The arrows of docs/concepts.md: which room of the package may import which."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fspop"
ROOMS = {
    "errors": 1,
    "records": 1,
    "seeds": 1,
    "paths": 2,
    "space": 2,
    "objectives": 2,
    "genotype": 2,
    "problems": 2,
    "recipe": 2,
    "storage": 3,
    "mutators": 4,
    "controller": 5,
    "experiment": 5,
    "experiment_code": 5,
    "simulation": 5,
    "training": 6,
    "networks": 7,
    "worker": 8,
    "report": 9,
    "launch": 10,
    "cli": 11,
    "": 0,
    "__main__": 11,
}
"""Room 0 is the face, `fspop/__init__.py`. Two modules of one room may import each other."""

ARROWS = {
    0: {2, 5},
    1: set(),
    2: {1},
    3: {1, 2},
    4: {1, 2},
    5: {1, 2, 3, 4},
    6: {1, 2},
    7: {1, 2},
    8: {1, 2, 3, 4, 5, 6, 7},
    9: {1, 2, 3},
    10: {1, 2},
    11: set(range(11)),
}
LIGHT_NAMES = {"__version__"}  # of the face: costs nothing, so every room may read it

IMPURE = {"datetime", "os", "secrets", "shutil", "socket", "subprocess", "tempfile", "time", "uuid"}
FORBIDDEN = {1: IMPURE | {"pathlib"}, 4: IMPURE | {"pathlib", "numpy.random"}}
MAY_USE_TORCH = {6, 7, 8}


def room_of(module):
    """The room of a dotted module name inside the package."""
    name = module.partition("fspop.")[2].partition(".")[0]
    assert name in ROOMS, f"{module} has no room: add it to ROOMS and to docs/concepts.md"
    return ROOMS[name]


def is_module(module):
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(tree, package):
    """Every module a file imports, wherever it stands; (module, line).

    `package` resolves relative imports. `from fspop import x` gives fspop.x where that is a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((a.name, node.lineno) for a in node.names if a.name != "fspop" or a.asname)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "fspop":
            if node.attr not in LIGHT_NAMES:  # `import fspop` itself costs nothing
                full = f"fspop.{node.attr}"
                yield (full if is_module(full) else "fspop"), node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(base if node.level else []), *filter(None, [node.module])])
            for name in (alias.name for alias in node.names):
                if base == "fspop" and name in LIGHT_NAMES:
                    continue
                full = f"{base}.{name}"
                yield (full if base == "fspop" and is_module(full) else base), node.lineno
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), node.lineno


def wrong_imports(source, module):
    """What a file of `module` imports against the rules, one line each."""
    room = room_of(module)
    is_package = (PACKAGE.parent / module.replace(".", "/")).is_dir()
    package = module if is_package else module.rpartition(".")[0]
    for name, line in imported(ast.parse(source), package):
        top = name.partition(".")[0]
        if top == "fspop" and room_of(name) not in ARROWS[room] | {room}:
            yield f"{module}:{line} (room {room}) imports {name} (room {room_of(name)})"
        if top == "torch" and room not in MAY_USE_TORCH:
            yield f"{module}:{line} (room {room}) imports torch"
        if name in FORBIDDEN.get(room, ()) or top in FORBIDDEN.get(room, ()):
            yield f"{module}:{line} (room {room}) must be pure but imports {name}"


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_file_imports_against_the_drawn_arrows():
    wrong = [w for p in PACKAGE.rglob("*.py") for w in wrong_imports(p.read_text(), module_name(p))]
    assert not wrong, "\n".join(sorted(wrong))


def test_every_file_of_the_package_has_a_room():
    lost = [p.name for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    assert {name.removesuffix(".py") for name in lost} - set(ROOMS) <= {"__init__"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("fspop.records", "import fspop.storage"),
        ("fspop.storage.log", "from fspop.mutators.base import Mutator"),
        ("fspop.storage.log", "from fspop import mutators"),
        ("fspop.storage.log", "from ..mutators import base"),
        ("fspop.mutators.pbt", "def f():\n    from fspop.storage import log"),
        ("fspop.mutators.pbt", "import time"),
        ("fspop.mutators.pbt", "import torch"),
        ("fspop.report.table", "from fspop import Experiment"),
        ("fspop.report.table", "import importlib\nimportlib.import_module('fspop.worker.loop')"),
        ("fspop.cli.status", "import torch.nn as nn"),
        ("fspop.report.table", "import fspop\nprint(fspop.Experiment)"),
        ("fspop", "import fspop.worker"),
    ],
)
def test_an_arrow_not_drawn_is_found(module, source):
    assert len(list(wrong_imports(source, module))) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("fspop.records", "from fspop.errors import InvalidId\nimport msgspec"),
        ("fspop.controller.create", "from fspop import __version__, paths"),
        ("fspop.controller.create", "import fspop\nprint(fspop.__version__)"),
        ("fspop.storage.log", "from . import lock"),
        ("fspop.worker.loop", "import torch\nfrom fspop.training.task import Task"),
        ("fspop.cli.run", "def f():\n    from fspop.launch import Supervisor"),
    ],
)
def test_a_drawn_arrow_is_let_through(module, source):
    assert list(wrong_imports(source, module)) == []


def modules_after(program):
    """The top-level modules loaded in a fresh process after `program`."""
    show = "import sys; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_fspop_costs_neither_torch_nor_numpy():
    assert not {"torch", "numpy", "msgspec"} & modules_after("import fspop; fspop.__version__")


def test_the_public_names_come_without_torch():
    loaded = modules_after("import fspop; [getattr(fspop, name) for name in fspop.__all__]")
    assert "msgspec" in loaded and "torch" not in loaded


def test_status_never_load_torch_or_numpy(tmp_path):
    run = tmp_path / "run"
    example = PACKAGE.parent / "examples/synthetic.py"
    verbs = [["init", str(example), "--dir", str(run)], ["status", "--dir", str(run)]]
    program = "from fspop.cli.app import run; assert run({}) == 0"
    modules_after(program.format(verbs[0]))
    loaded = modules_after(program.format(verbs[1]))
    assert "msgspec" in loaded and not {"torch", "numpy"} & loaded


def test_a_misspelt_public_name_is_an_attribute_error():
    import fspop

    with pytest.raises(AttributeError, match="Experimnt"):
        fspop.Experimnt  # noqa: B018
    assert set(fspop.__all__) <= set(dir(fspop))
