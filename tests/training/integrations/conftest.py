"""Imports the other libraries once, and lets pass what they warn about themselves, by its words."""

import importlib
import warnings

import pytest
import torch

from fspop.training import random_state

KNOWN = [
    r"ignore:.*isinstance\(treespec, LeafSpec\).*:FutureWarning",
    r"ignore:.*does not have many workers.*",
]


def pytest_collection_modifyitems(items):
    for item in items:
        if "integrations" in item.nodeid:
            for known in KNOWN:
                item.add_marker(pytest.mark.filterwarnings(known))


@pytest.fixture(scope="session")
def members():
    """A module of `members/` by name; what importing its library warns about is that library's."""

    def load(name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(f"tests.training.integrations.members.{name}")

    return load


@pytest.fixture(autouse=True)
def one_thread():
    before, numbers = torch.get_num_threads(), random_state.capture()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    random_state.restore(numbers)
