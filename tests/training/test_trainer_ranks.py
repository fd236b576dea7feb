"""A Trainer on several ranks: what one process would do, and what it refuses."""

import pytest
import torch

from tests.training.rank_run import run_ranks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
COMMON = """
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from fspop.errors import InvalidSetting, TaskError
from fspop.training import Context, Trainer

def data(n, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 6, generator=generator)
    return TensorDataset(inputs, (inputs.sum(1) > 0).long())

def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))

def make(cls=Trainer, rank=0, world_size=1, **options):
    given = {"train_dataset": data(61, 0), "val_dataset": data(33, 1), "batch_size": 8}
    trainer = cls(
        make_model, optim_function="SGD", drop_last=False, **{**given, **options}
    )
    where = {"rank": rank, "world_size": world_size}
    trainer.setup(Context(0, "m000.g0001", {"learning_rate": 0.1}, seed=3, **where))
    trainer.apply_hparams({"learning_rate": 0.1, "batch_size": 8})
    return trainer

def weights(trainer):
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])
"""
RANKS = (
    COMMON
    + """
mine = {"rank": ranks.rank, "world_size": ranks.world_size}
trainer = make(**mine)
trainer.train(7)
torch.save((weights(trainer), trainer.evaluate()), folder / f"seven-{ranks.rank}.pt")
trainer.freeze("0")
before = trainer.model[0].weight.clone()
trainer.train(2)
assert torch.equal(before, trainer.model[0].weight)
print(trainer.history.get("loss/train")[-1])

class Astray(Trainer):
    def predict(self, batch):
        return self.model(batch[0]), batch[1]

wrong = make(Astray, **mine)
wrong.train(2)
try:
    wrong.evaluate()
except TaskError as error:
    print("self.network" in str(error))
try:
    make(train_dataset=None, train_loader=DataLoader(data(9, 0), batch_sampler=[[0, 1]]), **mine)
except InvalidSetting as error:
    print("DistributedSampler" in str(error))
"""
)


ONE = (
    COMMON
    + """
trainer = make()
trainer.train(7)
torch.save((weights(trainer), trainer.evaluate()), folder / "one.pt")
"""
)


def test_two_ranks_train_as_one_process_would_and_find_what_goes_astray(tmp_path):
    first, second = run_ranks(RANKS, 2, tmp_path)
    assert first == second and first[1:] == ["True", "True"]
    weights, metrics = torch.load(tmp_path / "seven-0.pt")
    others, same_metrics = torch.load(tmp_path / "seven-1.pt")
    assert torch.equal(weights, others) and metrics == same_metrics
    run_ranks(ONE, 1, tmp_path)
    expected, expected_metrics = torch.load(tmp_path / "one.pt")
    assert torch.allclose(weights, expected, atol=1e-6), "batches of 8, also shared out"
    assert metrics == pytest.approx(expected_metrics)
