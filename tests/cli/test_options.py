import signal
from pathlib import Path

import pytest

from fspop.cli import options
from fspop.errors import InvalidId, UsageError


@pytest.mark.parametrize("given", [None, ""])
def test_no_directory_says_how_to_name_one(given):
    with pytest.raises(UsageError, match="--dir DIR, or set FSPOP_DIR"):
        options.needed_dir(given)


def test_the_directory_here_may_be_named():
    assert options.needed_dir(".") == Path(".")


@pytest.mark.parametrize("text", ["-1", "a/b", "", ".x", "x" * 65])
def test_an_id_out_of_range_is_refused(text):
    with pytest.raises(InvalidId, match="--id"):
        options.worker_id(text)


def test_the_options_and_settings_become_overrides():
    assert options.overrides(4, 0, ["mutator.interval=7"]) == {
        "members": 4,
        "seed": 0,
        "mutator.interval": 7,
    }
    assert options.overrides(None, None, None) == {}
    assert options.overrides(None, None, ["members=3", "metric=null"]) == {
        "members": 3,
        "metric": None,
    }


@pytest.mark.parametrize("twice", [(4, None, ["members=3"]), (None, None, ["a=1", "a=2"])])
def test_a_setting_given_twice_is_refused(twice):
    with pytest.raises(UsageError, match="given twice"):
        options.overrides(*twice)


def test_sigterm_interrupts_like_ctrl_c_and_only_in_the_block():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), options.sigterm_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
