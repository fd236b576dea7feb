"""What cannot work is refused in one clear line, and what was saved before is still there."""

import pickle
import shutil
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from fspop.errors import (
    ConfigurationError,
    Damaged,
    FspopError,
    InvalidSetting,
    TaskRaised,
    UnknownFormat,
)
from fspop.training import Trainer, load_checkpoint, load_model, save_checkpoint
from fspop.training.schedules import WarmRestart
from tests.training.trainers import Net, make, points, same, weights


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_epoch": 3}, r"no option 'num_epoch'; did you mean 'num_epochs'\?"),
        ({"lerning_rate": 3}, r"no option 'lerning_rate'; did you mean 'learning_rate'\?"),
        ({"optim_function": "Adem"}, r"torch\.optim has no 'Adem'; did you mean 'Adam'\?"),
        ({"optim_function": "Optimizer"}, r"torch\.optim has no 'Optimizer'"),
        ({"loss_function": "CrossEntropy"}, r"no 'CrossEntropy'; did you mean 'CrossEntropyLoss'"),
        (
            {"optim_function": "SGD", "optim_options": {"nestrov": True}},
            r"SGD has no option 'nestrov'; did you mean 'nesterov'\?",
        ),
        (
            {"optim_function": "SGD", "optim_options": {"lr": 0.3}},
            r"learning_rate: got 0\.01, and 0\.3 as lr in optim_options; give one",
        ),
        (
            {"momentum": 0.3, "optim_options": {"betas": (0.5, 0.9)}},
            r"momentum: got 0\.3, and \(0\.5, 0\.9\) as betas in optim_options; give one",
        ),
        ({"callbacks": None}, r"callbacks: got None, but it must be a list"),
        ({"loss_options": None}, r"loss_options: got None, but it must be a dict"),
        ({"optim_options": None}, r"optim_options: got None, but it must be a dict"),
        ({"param_groups": ["body"]}, r"param_groups: got \['body'\], .*dict of lists"),
        ({"checkpoint_dir": None}, r"checkpoint_dir: got None, .*path of a folder"),
        ({"device_id": None}, r"device_id: got None, .*number"),
        ({"model_args": 5}, r"model_args: got 5, .*dict or list"),
        ({"compile": "x"}, r"compile: got 'x', .*True, False or a dict"),
        ({"checkpoint_name": "n" * 300}, r"checkpoint_name: .*at most 150 bytes"),
        ({"checkpoint_name": "a\0b"}, r"checkpoint_name: got 'a\\x00b'"),
        ({"seed": 2**64}, r"seed: got 18446744073709551616, .*below 2\*\*64"),
        ({"optim_function": nn.Linear}, r"optim_function: got <class .*Linear'>, .*an optimizer"),
        ({"loss_options": {"label_smooth": 0.1}}, r"no option 'label_smooth'; .*'label_smoothing'"),
        ({"optim_options": {"eps": -1}}, r"optim_options: Adam refused .*eps"),
        ({"optim_function": "Adagrad", "momentum": 0.9}, r"Adagrad has neither momentum nor betas"),
        ({"optim_function": "Rprop", "weight_decay": 0.9}, r"weight_decay.*Rprop has none"),
        ({"optim_function": "LBFGS"}, r"LBFGS needs a closure"),
        ({"optim_function": 7}, r"optim_function: got 7"),
        ({"loss_function": 7}, r"loss_function: got 7"),
        ({"loss_function": abs, "loss_options": {"a": 1}}, r"loss_options.*is made already"),
        ({"learning_rate": -1}, r"learning_rate: got -1, but it must be .*at least 0"),
        ({"learning_rate": float("nan")}, r"learning_rate: got nan"),
        ({"momentum": 1.0}, r"momentum: got 1\.0"),
        ({"batch_size": 0}, r"batch_size: got 0"),
        ({"batch_size": 2.5}, r"batch_size: got 2\.5"),
        ({"num_epochs": -1}, r"num_epochs: got -1"),
        ({"accumulate_steps": 0}, r"accumulate_steps: got 0"),
        ({"save_every": -2}, r"save_every: got -2"),
        ({"shuffle": 1}, r"shuffle: got 1, but it must be True or False"),
        ({"amp": "float8"}, r"amp: got 'float8'"),
        ({"early_stop": {"epochs": 3}}, r"early_stop: got \{'epochs': 3\}"),
        ({"checkpoint_name": "a/b"}, r"checkpoint_name: got 'a/b'"),
        ({"seed": -1}, r"seed: got -1"),
        ({"device_id": "cdua"}, r"device_id: got 'cdua'"),
        ({"device_id": 99}, r"device_id: got 'cuda:99'"),
        ({"callbacks": ["print"]}, r"callbacks: got 'print'"),
        ({"lr_scheduler": "WarmRestarts"}, r"did you mean 'WarmRestart'\?"),
        ({"lr_scheduler": {"hed": WarmRestart()}}, r"no group named 'hed'"),
        ({"lr_scheduler": 0.1}, r"lr_scheduler: got 0\.1"),
        ({"param_groups": {"head": ["haed"]}}, r"no module named 'haed'; did you mean 'head'\?"),
        ({"train_dataset": points(), "train_loader": [1]}, r"train_dataset and train_loader"),
        ({"train_dataset": None, "train_loader": 5}, r"train_loader: got 5.*an iterable"),
        ({"train_dataset": TensorDataset(torch.ones(0, 4))}, r"train_dataset: got an empty one"),
        ({"batch_size": 81}, r"its 80 samples give no batch of batch_size=81 with drop_last=True"),
        ({"val_dataset": []}, r"val_dataset: got an empty one"),
        ({"train_dataset": 5}, r"train_dataset: got int, but a dataset has a length and items"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(tmp_path, options, message):
    with pytest.raises(FspopError, match=message) as caught:
        make(tmp_path, model=Net(), **options)
    assert "\n" not in str(caught.value)


def test_an_optimizer_of_another_model_is_refused(tmp_path):
    foreign = torch.optim.SGD(Net().parameters(), lr=0.1)
    for model in (Net(), Net):
        with pytest.raises(InvalidSetting, match=r"SGD has no parameter of Net.*of this very"):
            make(tmp_path, model=model, optim_function=foreign, learning_rate=0.1).fit()


@pytest.mark.parametrize("model", [None, 7, lambda: 7])
def test_a_model_that_is_none_is_refused_when_it_is_needed(tmp_path, model):
    with pytest.raises(InvalidSetting, match=r"Trainer\.model: got .*override make_model"):
        make(tmp_path, model=model).fit()


def test_a_torch_scheduler_bound_to_another_optimizer_is_refused(tmp_path):
    bound = torch.optim.lr_scheduler.StepLR(torch.optim.SGD([torch.zeros(1)], lr=1.0), 1)
    with pytest.raises(InvalidSetting, match="a function of an optimizer that returns"):
        make(tmp_path, lr_scheduler=bound).fit()


class Raising(Dataset):
    broken = True

    def __init__(self):
        self.inner = points()

    def __len__(self):
        return 80

    def __getitem__(self, index):
        if self.broken and index == 11:
            raise OSError("disk on fire")
        return self.inner[index]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_data_that_raise_are_named_and_training_goes_on_once_they_work(tmp_path, num_workers):
    data = Raising()
    options = {"train_dataset": data, "num_workers": num_workers, "shuffle": False}
    trainer = make(tmp_path, save_every=1, **options)
    with pytest.raises(TaskRaised, match=r"data raised in epoch 0, batch 1: OSError: disk on fire"):
        trainer.fit()
    assert trainer.iteration == 1 and trainer.checkpoints.names() == ["ck_epoch_0_iter_1"]
    data.broken = False
    trainer.fit()
    whole = make(tmp_path / "whole", **options)
    whole.fit()
    assert same(weights(trainer), weights(whole)) and trainer.history == whole.history


@pytest.mark.parametrize("split", ["validation", "test"])
def test_data_that_raise_while_measuring_are_named(tmp_path, split):
    options = {f"{split[:3] if split == 'validation' else split}_dataset": Raising()}
    trainer = make(tmp_path, num_epochs=1, **options)
    with pytest.raises(TaskRaised, match=f"^{split} data raised in batch 1: OSError: disk on fire"):
        trainer.fit()


def nothing_the_fourth_time():
    calls = []

    def collate(samples):
        calls.append(1)
        return None if len(calls) == 4 else torch.utils.data.default_collate(samples)

    return collate


def test_a_batch_that_is_none_is_a_batch_and_not_the_end(tmp_path):
    class Skipping(Trainer):
        def train_step(self, batch):
            return None if batch is None else super().train_step(batch)

    trainer = make(tmp_path, Skipping, num_epochs=1, val_dataset=None)
    trainer.set_options(collate_fn=nothing_the_fourth_time())
    trainer.fit()
    assert trainer.iteration == 10 and trainer.history.count("loss/train") == 9
    with pytest.raises(InvalidSetting, match=r"a batch of type NoneType.*override predict"):
        make(tmp_path, collate_fn=nothing_the_fourth_time()).fit()


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_data_set_that_raises_stop_iteration_does_not_end_the_epoch(tmp_path, num_workers):
    class Stopping(Raising):
        def __getitem__(self, index):
            if index == 11:
                raise StopIteration
            return self.inner[index]

    trainer = make(tmp_path, train_dataset=Stopping(), shuffle=False, num_workers=num_workers)
    with pytest.raises(TaskRaised, match=r"epoch 0, batch 1: .*StopIteration"):
        trainer.fit()


class Empty(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize("loader", [[], DataLoader(Empty(), batch_size=4)], ids=["[]", "empty"])
def test_an_empty_loader_is_refused(tmp_path, loader):
    with pytest.raises(InvalidSetting, match=r"train_loader: it gave no batch in epoch 0; fill it"):
        make(tmp_path, train_dataset=None, train_loader=loader).fit()


def test_a_loader_that_can_be_used_only_once_is_refused_in_the_second_epoch(tmp_path):
    batches = iter([(torch.ones(4, 4), torch.zeros(4).long())])
    trainer = make(tmp_path, train_dataset=None, train_loader=batches)
    with pytest.raises(InvalidSetting, match=r"no batch in epoch 1; .*gone through again"):
        trainer.fit()
    assert trainer.epoch == 1


def test_an_empty_validation_loader_is_refused(tmp_path):
    with pytest.raises(InvalidSetting, match="the validation or test set gave no batch"):
        make(tmp_path, val_dataset=None, val_loader=DataLoader(Empty())).evaluate()


def test_a_batch_of_another_shape_says_what_to_override(tmp_path):
    data = TensorDataset(torch.ones(16, 4))
    with pytest.raises(InvalidSetting, match=r"batch of type list.*override predict\(batch\)"):
        make(tmp_path, train_dataset=data).fit()


# -- checkpoints


@pytest.fixture
def saved(tmp_path):
    """A trainer that has finished two epochs, and its two checkpoints' folders."""
    trainer = make(tmp_path)
    trainer.fit()
    return trainer, [trainer.checkpoints.folder / name for name in trainer.checkpoints.names()]


def untouched(trainer, weights_before):
    assert same(weights(trainer), weights_before) and trainer.iteration == 0


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"model": lambda: Net(width=7)},
            r"another architecture than Net: .*body\.0\.bias is \(6,\)",
        ),
        ({"model": lambda: nn.Linear(4, 2)}, r"another architecture than Linear: .*unexpected"),
        ({"optim_function": "SGD"}, r"written with Adam on .*this trainer has SGD"),
        ({"param_groups": {"head": ["head"]}}, r"groups of \[6\] parameters.*\[2, 4\]"),
        ({"lr_scheduler": "WarmRestart"}, r"got WarmRestart for learning_rate.*written with none"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused_and_changes_nothing(
    tmp_path, saved, other, message
):
    trainer = make(tmp_path, **other)
    before = weights(trainer)
    with pytest.raises(ConfigurationError, match=message):
        trainer.resume()
    untouched(trainer, before)


def flip(folder):
    data = bytearray((folder / "state.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "state.pt").write_bytes(data)


def halve(folder):
    data = (folder / "state.pt").read_bytes()
    (folder / "state.pt").write_bytes(data[: len(data) // 2])


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def poison(folder):
    (folder / "state.pt").write_bytes(pickle.dumps({"task": Evil()}))


def lose(folder):
    (folder / "state.pt").unlink()


@pytest.mark.parametrize("harm", [flip, halve, poison, lose, shutil.rmtree])
def test_a_harmed_checkpoint_is_passed_over_for_the_one_before(tmp_path, saved, capsys, harm):
    harm(saved[1][1])
    trainer = make(tmp_path)
    with pytest.warns(UserWarning, match=r"ck_epoch_2_iter_20.*; trying the one before"):
        assert trainer.resume()
    assert trainer.iteration == 10
    trainer.fit()
    assert same(weights(trainer), weights(saved[0])) and trainer.history == saved[0].history
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(tmp_path).resume()
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("harm", [flip, halve, poison, lose, shutil.rmtree])
def test_where_all_are_harmed_it_says_so_and_deletes_nothing(tmp_path, saved, harm):
    for folder in saved[1]:
        harm(folder)
    left = sorted(p.name for p in saved[0].checkpoints.folder.rglob("*"))
    trainer = make(tmp_path)
    before = weights(trainer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Damaged, match="ck_epoch_2_iter_20"):
            trainer.resume()
    untouched(trainer, before)
    assert sorted(p.name for p in saved[0].checkpoints.folder.rglob("*")) == left


def test_a_missing_checkpoint_says_which(tmp_path, saved):
    with pytest.raises(Damaged, match=r"ck_epoch_3_iter_30: there is no checkpoint; look"):
        make(tmp_path).load_checkpoint(tmp_path / "checkpoint" / "ck_epoch_3_iter_30")


def test_no_checkpoint_is_no_error(tmp_path):
    assert make(tmp_path).resume() is False


@pytest.mark.parametrize("text", ["", "{", "[]", '{"checkpoints": [{"name": "../../etc"}]}'])
def test_an_index_that_is_none_is_damage_and_leads_nowhere(tmp_path, saved, text):
    saved[0].checkpoints.index.write_text(text)
    with pytest.raises(Damaged, match=r"ck_checkpoints\.json: not an index"):
        make(tmp_path).resume()


def test_a_state_of_something_else_is_refused(tmp_path):
    trainer = make(tmp_path)
    before = weights(trainer)
    with pytest.raises(Damaged, match=r"state of something else than a Trainer: .*'a'"):
        trainer.load_state_dict({"a": 1})
    untouched(trainer, before)


@pytest.mark.parametrize("other", [{"model": Net, "model_args": {"width": 7}}, {"seed": 1}])
def test_what_does_not_fit_names_the_checkpoint(tmp_path, other):
    path = make(tmp_path).save()
    wrong = make(tmp_path, lr_scheduler="WarmRestart", **other)
    for go in (wrong.resume, lambda: wrong.load_checkpoint(path)):
        with pytest.raises(ConfigurationError) as caught:
            go()
        assert str(caught.value).startswith(f"{path}: ")


def test_hparams_that_are_refused_leave_everything_as_it_was(tmp_path):
    trainer = make(tmp_path, num_epochs=1)
    trainer.set_batch_size(64)
    trainer.fit()
    small = make(tmp_path, train_dataset=points(20))
    before = weights(small)
    with pytest.raises(FspopError, match="batch_size"):
        small.resume()
    untouched(small, before)


def test_a_model_with_nothing_to_train_says_so(tmp_path):
    trainer = make(tmp_path)
    trainer.freeze("body", "head")
    with pytest.raises(InvalidSetting, match="no parameter that may change; unfreeze"):
        trainer.fit()


def test_the_longest_name_fits(tmp_path):
    trainer = make(tmp_path, checkpoint_name="n" * 150, save_best=True)
    trainer.fit()
    assert make(tmp_path, checkpoint_name="n" * 150).resume()


def test_the_state_of_a_newer_fspop_says_so(tmp_path):
    trainer = make(tmp_path)
    state = {**trainer.state_dict(), "format": 2}
    with pytest.raises(UnknownFormat, match="format 2, this fspop reads 1; upgrade fspop"):
        trainer.load_state_dict(state)
    path = tmp_path / "checkpoint" / "ck_epoch_0_iter_0"
    path.parent.mkdir()
    save_checkpoint(path, {"task": state, "random": {}})
    for go in (load_model, trainer.load_checkpoint, Trainer.from_checkpoint):
        with pytest.raises(UnknownFormat, match=rf"{path}.*upgrade fspop"):
            go(path)


def test_a_state_that_cannot_be_saved_leaves_the_checkpoint_before_it(tmp_path, saved):
    class Odd(Trainer):
        def extra_state(self):
            return {"odd": object()}

    trainer = make(tmp_path, Odd, num_epochs=3)
    with pytest.raises(Exception, match=r"extra.*odd.*object"):
        trainer.fit()
    assert make(tmp_path).resume() and load_checkpoint(saved[1][1])


def test_a_checkpoint_dir_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(ConfigurationError, match=r"checkpoint_dir: .*give another"):
        make(tmp_path).fit()


def test_a_run_over_an_old_one_resumes_from_its_own_newest(tmp_path, saved):
    fresh = make(tmp_path, seed=1, num_epochs=1)
    fresh.fit()
    again = make(tmp_path)
    again.resume()
    assert again.iteration == 10 and same(weights(again), weights(fresh))


# -- inference


def test_a_checkpoint_says_which_class_it_needs(tmp_path):
    trainer = make(tmp_path, model_args={"width": 9}, save_best=True)
    trainer.fit()
    inputs = torch.randn(3, 4)
    trainer.model.eval()
    for name in ("best_ck", trainer.checkpoints.names()[-1]):
        model = load_model(tmp_path / "checkpoint" / name)
        assert type(model) is Net and not model.training
    assert torch.equal(model(inputs), trainer.model(inputs))


def test_without_its_arguments_one_gives_the_model(tmp_path):
    trainer = make(tmp_path, model=Net(width=9))
    path = trainer.save()
    with pytest.raises(ConfigurationError, match=r"another architecture than Net.*body\.0\.bias"):
        load_model(path)
    assert same(load_model(path, Net(width=9)).state_dict(), weights(trainer))
    sequential = make(tmp_path / "b", model=nn.Sequential(nn.Linear(4, 2))).save()
    with pytest.raises(ConfigurationError, match=r"Sequential.*made here without arg.*model=…\)"):
        load_model(sequential)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"module": "os", "class": "system", "arguments": ["touch /tmp/owned"]}, "no torch.nn.Mod"),
        ({"module": "no_such_module", "class": "Net", "arguments": []}, "cannot be imported"),
        ({"module": "__main__", "class": "Net", "arguments": []}, "move it into a module"),
        ({"module": "torch.nn", "class": "Linear", "arguments": []}, "TypeError"),
    ],
)
def test_only_importable_modules_are_ever_called(tmp_path, monkeypatch, described, message):
    from fspop.training import resuming

    monkeypatch.setattr(resuming, "describe_model", lambda *_: described)
    path = make(tmp_path).save()
    with pytest.raises(ConfigurationError, match=f"{message}.*load_model"):
        load_model(path)


def test_a_trainer_comes_back_with_model_options_and_place(tmp_path):
    trainer = make(tmp_path, model_args={"width": 9}, optim_function="SGD", momentum=0.9)
    trainer.fit()
    path = trainer.checkpoints.folder / trainer.checkpoints.names()[-1]
    options = {"train_dataset": points(), "checkpoint_dir": tmp_path / "other"}
    again = Trainer.from_checkpoint(path, **options)
    assert again.options.momentum == 0.9 and again.options.batch_size == 8
    assert same(weights(again), weights(trainer)) and again.history == trainer.history
    again.set_num_epochs(3)
    again.fit()
    assert again.epoch == 3
