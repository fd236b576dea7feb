"""The Trainer as it comes: epochs, checkpoints, history, loaders."""

from torch.utils.data import DataLoader

from fspop.training import Trainer
from tests.training.trainers import Net, files, make, points, same, weights


def test_the_plain_class_trains_with_nothing_but_data(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trainer = Trainer(Net(), train_dataset=points(256), num_epochs=1)
    trainer.fit()
    assert (trainer.epoch, trainer.iteration) == (1, 4)
    assert (tmp_path / "checkpoint" / "ck_epoch_1_iter_4").is_dir()
    assert "epoch 1/1 done" in capsys.readouterr().out


def test_training_learns(tmp_path):
    trainer = make(tmp_path, num_epochs=8, learning_rate=0.05)
    trainer.fit()
    accuracies = trainer.history.get("acc/val")
    assert len(accuracies) == 8 and accuracies[-1] > 0.9
    losses = trainer.history.get("loss/train")
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])


def test_six_epochs_of_ten_batches_give_a_checkpoint_at_every_tenth_iteration(tmp_path):
    trainer = make(tmp_path, num_epochs=6)
    trainer.fit()
    assert trainer.checkpoints.names() == [f"ck_epoch_{e}_iter_{10 * e}" for e in range(1, 7)]


def test_save_every_is_in_iterations_and_turns_the_best_weights_on(tmp_path):
    trainer = make(tmp_path, save_every=7, checkpoint_name="own", num_epochs=1)
    trainer.fit()
    assert trainer.checkpoints.names() == ["own_epoch_0_iter_7"]
    assert "best_own" in files(trainer) and "own_history.json" in files(trainer)


def test_a_one_batch_loader_is_saved_once_an_epoch(tmp_path):
    trainer = make(tmp_path, train_dataset=points(8), num_epochs=3)
    trainer.fit()
    assert trainer.checkpoints.names() == [f"ck_epoch_{e}_iter_{e}" for e in (1, 2, 3)]


def test_only_so_many_checkpoints_are_kept_as_asked_for(tmp_path):
    trainer = make(tmp_path, num_epochs=5, keep_checkpoints=2, save_best=True)
    trainer.fit()
    assert trainer.checkpoints.names() == ["ck_epoch_4_iter_40", "ck_epoch_5_iter_50"]
    kept = [name for name in files(trainer) if "_epoch_" in name]
    assert len(kept) == 3 and (trainer.checkpoints.folder / "best_ck").is_dir()


def test_a_finished_trainer_does_nothing_until_it_may_train_longer(tmp_path):
    trainer = make(tmp_path)
    trainer.fit()
    before, first = weights(trainer), trainer.history.get("loss/train")
    assert trainer.fit() is trainer.history and same(before, weights(trainer))
    trainer.set_num_epochs(4)
    trainer.fit()
    longer = trainer.history.get("loss/train")
    assert len(longer) == 4 * 10 and longer[:20] == first


def test_the_history_is_none_before_there_is_data(tmp_path):
    trainer = make(tmp_path)
    assert trainer.history.get("loss/train") is None and trainer.history.get("acc/val") is None


def test_a_ready_loader_trains_like_its_data_set_would(tmp_path):
    loader = DataLoader(points(), batch_size=8, shuffle=True, drop_last=True)
    ready = make(tmp_path, train_dataset=None, train_loader=loader, batch_size=99)
    plain = make(tmp_path)
    ready.train(15)
    plain.train(15)
    assert same(weights(ready), weights(plain))


def test_the_learning_rate_range_is_found_without_a_trace_and_feeds_a_schedule(tmp_path):
    trainer, plain = make(tmp_path), make(tmp_path)
    trainer.train(3)
    finder = trainer.find_lr(lr_min=1e-4, lr_max=1.0, num_epochs=1, lr_select_method="max_range")
    trainer.train(3)
    plain.train(6)
    assert same(weights(trainer), weights(plain))
    trainer.set_options(lr_scheduler=finder.schedule("Triangular", stepsize=4))
    rates = []
    for _ in range(8):
        trainer.train(1)
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    low, high = finder.range()
    assert low <= min(rates) < max(rates) <= high


def test_the_training_accuracy_of_an_epoch_is_that_over_its_batches_and_survives_an_interruption(
    tmp_path,
):
    trainer = make(tmp_path, save_every=0)
    right = []
    trainer.loss_fn.register_forward_hook(
        lambda _m, given, _o: right.append((given[0].argmax(1) == given[1]).sum().item())
    )
    trainer.train(14)
    trainer.save()
    trainer.train(6)
    resumed = make(tmp_path)
    assert resumed.resume()
    resumed.fit()
    first = sum(right[:10]) / 80
    assert resumed.history.points("acc/train")[0] == (10, first)
    assert resumed.history.get("acc/train") == trainer.history.get("acc/train")
    assert len(resumed.history.get("acc/train")) == 2
