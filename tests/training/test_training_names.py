import subprocess
import sys
from pathlib import Path

import pytest

import fspop.training

ROOT = Path(__file__).parents[2]


def test_importing_the_package_costs_no_torch():
    program = "import sys, fspop.training as t; dir(t); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_every_public_name_is_there_and_a_misspelt_one_is_not():
    for name in fspop.training.__all__:
        assert getattr(fspop.training, name) is not None
    assert set(fspop.training.__all__) <= set(dir(fspop.training))
    with pytest.raises(AttributeError, match="Trianer"):
        fspop.training.Trianer  # noqa: B018
