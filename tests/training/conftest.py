"""One thread a test: tiny networks are faster so, and give the same bits in every process."""

import pytest
import torch

from fspop.training import random_state


@pytest.fixture(autouse=True)
def one_thread():
    before, numbers = torch.get_num_threads(), random_state.capture()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    random_state.restore(numbers)
