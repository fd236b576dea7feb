"""Parts made at their first use: what goes wrong in their making is what one sees."""

import pytest
import torch
from torch import nn

from fspop.errors import TaskRaised
from fspop.training import Trainer
from tests.training.trainers import make


class Misspelt(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, self.widht)


class Odd(Trainer):
    def make_loss(self):
        return torch.nn.CrossEntropyLos()


@pytest.mark.parametrize(
    ("kind", "model", "missing"),
    [(Trainer, Misspelt, "widht"), (Odd, lambda: nn.Linear(4, 2), "CrossEntropyLos")],
)
@pytest.mark.parametrize("use", ["fit", "resume", "save"])
def test_an_attribute_missing_in_the_making_of_a_part_is_the_one_named(
    tmp_path, kind, model, missing, use
):
    with pytest.raises(TaskRaised, match=f"{missing}'") as caught:
        getattr(make(tmp_path, kind, model), use)()
    assert isinstance(caught.value.__cause__, AttributeError)
