"""What the constructor of PopulationController refuses, in one line that names the argument."""

import pytest

from fspop import PopulationController
from fspop.errors import InvalidSetting
from fspop.mutators import WinnerTakeAllGenetic


@pytest.mark.parametrize("mutator", ["x", None, WinnerTakeAllGenetic, lambda hparams: hparams])
def test_what_is_no_mutator_is_named(mutator):
    with pytest.raises(InvalidSetting, match=r"^mutator: got .*fspop\.mutators") as caught:
        PopulationController([0.1, 0.2], mutator)
    assert "\n" not in caught.value.message


def test_no_members_and_another_mode_are_named():
    mutator = WinnerTakeAllGenetic(lambda hparams: hparams, 5)
    with pytest.raises(InvalidSetting, match="initial_population: got no members"):
        PopulationController([], mutator)
    with pytest.raises(InvalidSetting, match="mode: got 'best'"):
        PopulationController([0.1, 0.2], mutator, mode="best")
