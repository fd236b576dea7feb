import pytest

from tests.storage.stores import begin, make_paths, small_log


@pytest.fixture
def paths(tmp_path):
    return make_paths(tmp_path)


@pytest.fixture
def log(paths):
    """A log of segments of 8 records that holds a population of two."""
    log = small_log(paths)
    begin(log)
    return log
