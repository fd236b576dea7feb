import sys

import pytest

from fspop.errors import ConfigurationError
from fspop.training.schedules import Step, Triangular, WarmRestart, plot_schedules

PNG = b"\x89PNG"


def test_one_schedule_or_several_are_drawn_into_an_image(tmp_path):
    pytest.importorskip("matplotlib")
    WarmRestart().plot(5000, tmp_path / "one.png")
    plot_schedules({"a": Step(), "b": Triangular()}, 20_000, tmp_path / "new" / "two.png", 100)
    for name in ("one.png", "new/two.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r"pip install matplotlib"):
        Step().plot(10, tmp_path / "none.png")
