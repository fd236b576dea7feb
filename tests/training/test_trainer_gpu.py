"""The same on a GPU: counted as skipped where there is none."""

import pytest
import torch

from fspop.training import random_state
from tests.training.trainer_run import make_trainer
from tests.training.trainers import make, same, weights

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("options", [{}, {"amp": "float16"}, {"amp": True}, {"num_workers": 2}])
def test_training_resumes_on_a_gpu(tmp_path, options):
    torch.use_deterministic_algorithms(True)
    try:
        whole = make(tmp_path / "whole", device_id=0, learning_rate=0.05, **options)
        whole.fit()
        first = make(tmp_path / "first", device_id=0, learning_rate=0.05, save_every=0, **options)
        first.train(13)
        first.save()
        random_state.seed_all(3)
        second = make(tmp_path / "first", device_id=0, learning_rate=0.05, **options)
        assert second.resume() and second.model.head.weight.is_cuda
        second.fit()
    finally:
        torch.use_deterministic_algorithms(False)
    assert same(weights(whole), weights(second)) and whole.history == second.history


def test_a_gpus_checkpoint_goes_on_without_one(tmp_path):
    trainer = make_trainer("adam", tmp_path, device_id=0, num_workers=0)
    trainer.train(5)
    trainer.save()
    on_cpu = make_trainer("adam", tmp_path, num_workers=0)
    assert on_cpu.resume()
    assert not next(on_cpu.model.parameters()).is_cuda
    on_cpu.train(2)
    assert on_cpu.iteration == 7
