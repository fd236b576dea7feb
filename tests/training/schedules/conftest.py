"""A checkpoint's way for states: written by torch.save, read back with `weights_only=True`."""

import io

import pytest
import torch


def _there_and_back(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.fixture
def through_a_checkpoint():
    return _there_and_back
