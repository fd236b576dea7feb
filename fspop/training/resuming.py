"""What a Trainer's checkpoint holds, and how training goes on from it."""

import copy
import inspect
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from fspop.errors import ConfigurationError, Damaged, FspopError, NotWritable, TryLater
from fspop.training import freezing, random_state
from fspop.training.adjusting import Adjustable
from fspop.training.callbacks import Callback
from fspop.training.checkpoint_index import opened_state
from fspop.training.inference import (
    FORMAT,
    Arguments,
    check_fits,
    check_format,
    describe_model,
    load_model,
    trainer_state,
)
from fspop.training.options import Options
from fspop.training.saving import CheckpointFolder
from fspop.training.sinks import TensorBoardSink
from fspop.training.stopping import reason_to_stop

Gradients = list[torch.Tensor | None]
Files = tuple[tuple[str | Path, str], CheckpointFolder]


class Resumable(Adjustable):
    """Saving and resuming: training that was interrupted after any step goes on to the same bit.

    `state_dict` is all that training changes but the global random state, which a population's
    worker keeps beside it, as `save` does.
    """

    _files: Files | None = None
    _due: tuple[str, ...] = ()
    """Methods that write what is to be written at this place; one that fails stays due."""
    _in_fit = False
    _model_arguments: Arguments | None = None
    """Of a model that `from_checkpoint` made."""

    def state_dict(self) -> dict[str, Any]:
        """Everything training changes, as tensors and plain data; aliases live tensors.

        Writers of TensorBoard events get what is new first: the history counts as written in it.
        """
        for each in self._callbacks:
            if isinstance(each, TensorBoardSink):
                each.flush(self)
        made = isinstance(self._given_model, type)
        arguments = self.options.model_args if made else self._model_arguments
        return {
            "format": FORMAT,
            "model_class": describe_model(self.model, arguments),
            "model": self.model.state_dict(),
            "optimizer_class": type(self.optimizer).__name__,
            "optimizer": self.optimizer.state_dict(),
            "loss": self.loss_fn.state_dict() if isinstance(self.loss_fn, nn.Module) else {},
            "schedules": self.schedules.state(),
            "scaler": self.scaler.state_dict(),
            "gradients": self._gradients() if self._window else None,
            "window": self._window,
            "counted": [int(self._right), int(self._counted)],
            "feed": self.feed.state(),
            "iteration": self.iteration,
            "seed": self.seed,
            "history": self.history.state(),
            "best": self.best,
            "stop_reason": self.stop_reason,
            "frozen": list(self.frozen),
            "hparams": copy.deepcopy(self.hparams),
            "options": self.options.plain(),
            "callbacks": self._memories(),
            "extra": self.extra_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave; what does not fit raises before anything changes.

        In a population the hyperparameters are assigned afterwards and the data's order is the
        member's own; alone both come from the state.
        """
        self._check_state(state)
        if self.context is None and state["hparams"]:
            self.apply_hparams(state["hparams"])  # they may be refused
        self._due = ()
        self.model.load_state_dict(state["model"])
        # An optimizer keeps the very tensors it is given; `state` may be somebody's live state.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        if isinstance(self.loss_fn, nn.Module):
            self.loss_fn.load_state_dict(state["loss"])
        self.schedules.load(state["schedules"])
        self.scaler.load_state_dict(state["scaler"])
        self._load_place(state)
        self.history.load(state["history"])
        self.best = copy.deepcopy(state["best"])
        self.stop_reason = self._reason_of(state)
        self._unfreeze(self.frozen)
        self._freeze(state["frozen"])
        self._load_gradients(state["gradients"])
        self._load_callbacks(state["callbacks"])
        self.load_extra_state(state["extra"])
        if self.context is None:
            self.take_back(state["hparams"])
        self.call("on_load")

    def _load_place(self, state: Mapping[str, Any]) -> None:
        if self.context is None:
            self.seed = self.train_loader.seed = state["seed"]
        self.feed.load(state["feed"])
        self.iteration, self._window = state["iteration"], state["window"]
        self._right, self._counted = state["counted"]
        self.schedules.move_to(self.iteration, self.feed.epoch)
        self._validated = None

    def _reason_of(self, state: Mapping[str, Any]) -> str:
        """Why the training stopped that wrote `state`; "" where it would go on with the options
        that this trainer has.
        """
        reason, options = str(state["stop_reason"]), self.options
        then = state["options"].get("stop_when_acc", 0), state["options"].get("early_stop")
        accuracies = self.history.get("acc/val") or []
        if reason and reason == reason_to_stop(accuracies, *then):
            return reason_to_stop(accuracies, options.stop_when_acc, options.early_stop)
        return reason

    def _check_state(self, state: Mapping[str, Any]) -> None:
        check_format(state)
        if state.get("format") != FORMAT or "model_class" not in state:
            raise Damaged(f"got the state of something else than a Trainer: {list(state)[:5]}")
        check_fits(self.model, state["model"], "load_state_dict")
        if isinstance(self.loss_fn, nn.Module):
            check_fits(self.loss_fn, state["loss"], "load_state_dict")
        mine, theirs = type(self.optimizer).__name__, state["optimizer_class"]
        sizes = [len(group["params"]) for group in self.optimizer.param_groups]
        saved = [len(group["params"]) for group in state["optimizer"]["param_groups"]]
        if mine != theirs or sizes != saved:
            raise ConfigurationError(
                f"load_state_dict: the checkpoint was written with {theirs} on groups of {saved} "
                f"parameters, this trainer has {mine} on {sizes}; make the same optimizer"
            )
        self.schedules.check(state["schedules"])
        freezing.expand(self.model, state["frozen"])

    def _gradients(self) -> Gradients:
        return [parameter.grad for parameter in self._trained()]

    def _load_gradients(self, gradients: Gradients | None) -> None:
        for number, parameter in enumerate(self._trained()):
            saved = gradients[number] if gradients else None
            parameter.grad = None if saved is None else saved.detach().clone().to(parameter.device)

    def _trained(self) -> list[torch.Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _memories(self) -> list[list[Any]]:
        """Name and memory of each callback of a class that remembers something."""
        able = [c for c in self._callbacks if type(c).state_dict is not Callback.state_dict]
        return [[type(each).__name__, each.state_dict()] for each in able]

    def _load_callbacks(self, saved: list[list[Any]]) -> None:
        left = [list(each) for each in saved]
        for callback in self._callbacks:
            mine = [each for each in left if each[0] == type(callback).__name__]
            if mine:
                left.remove(mine[0])
                if mine[0][1]:
                    callback.load_state_dict(mine[0][1])

    # -- alone, with files of its own
    @property
    def checkpoints(self) -> CheckpointFolder:
        """The files of this trainer."""
        options = self.options
        wanted = (options.checkpoint_dir, options.checkpoint_name)
        if self._files is None or self._files[0] != wanted:
            self._files = (wanted, CheckpointFolder(*wanted))
        self._files[1].keep = options.keep_checkpoints
        return self._files[1]

    def set_options(self, **changes: Any) -> None:
        """As in Adjustable. A checkpoint still being saved is finished where it was begun; one that
        cannot be, as on a full disk, is made anew in the new checkpoint_dir.
        """
        moves = {"checkpoint_dir", "checkpoint_name"} & changes.keys()
        saved = not moves or self._end_save("one is saved in the new place instead")
        super().set_options(**changes)
        if not saved:
            self._due += ("_begin_save",)

    def save(self) -> Path:
        """Writes a durable checkpoint `<name>_epoch_<e>_iter_<i>` and returns its path."""
        self._write_due()
        self._finish_save()
        path = self.checkpoints.save(self._whole_state(), self.feed.epoch, self.iteration)
        self.call("on_save", path)
        return path

    def save_best(self) -> Path:
        """Writes a durable checkpoint that the link `best_<name>` leads to from now on."""
        path = self.checkpoints.save_best(self._whole_state(), self.feed.epoch, self.iteration)
        self.call("on_save", path)
        return path

    def _begin_save(self) -> None:
        """Saves while training goes on; at most one save is under way. Outside of fit() nobody
        would come back to it: saves at once.
        """
        if not self._in_fit:
            self.save()
            return
        self._finish_save()
        path = self.checkpoints.begin(self._whole_state(), self.feed.epoch, self.iteration)
        if path is not None:
            self.call("on_save", path)

    def _finish_save(self, wait: bool = True) -> None:
        path = self.checkpoints.finish(wait)
        if path is not None:
            self.call("on_save", path)

    def _write_due(self) -> None:
        """Writes what is due here, and looks whether the save under way is durable."""
        self._finish_save(wait=False)
        while self._due:
            first, *others = self._due
            self._due = tuple(others)
            try:
                getattr(self, first)()
            except BaseException:
                self._due = (first, *self._due)
                raise

    def _end_save(self, instead: str) -> bool:
        """Whether the save under way, if any, came through; one that did not is given up."""
        try:
            self._finish_save()
        except (TryLater, NotWritable) as error:
            warnings.warn(f"{error}; {instead}", stacklevel=4)
            self.checkpoints.give_up()
            return False
        return True

    def _whole_state(self) -> dict[str, Any]:
        random = self._random or random_state.capture(str(self.device))
        return {"task": self.state_dict(), "random": random}

    def resume(self) -> bool:
        """Goes to the newest whole checkpoint of `checkpoint_dir`; False where there is none.

        Damaged ones are passed over with a warning; Damaged where no other is left.
        """
        self._end_save("going back to the one before")
        with self.checkpoints.newest(self._map_location()) as found:
            if found is not None:
                name = str(self.checkpoints.folder / found[0])
                self._take(found[1], name)
                self._say_overruled(found[1]["task"]["options"], name)
            return found is not None

    def load_checkpoint(self, path: str | PathLike[str]) -> None:
        """Goes to this checkpoint: the folder, or a link such as best_ck."""
        with opened_state(path, self._map_location()) as state:
            self._take(state, str(path))

    def _take(self, state: Mapping[str, Any], name: str) -> None:
        task = state.get("task")
        if not isinstance(task, dict) or "random" not in state:
            raise Damaged(f"{name}: it is no checkpoint of a Trainer", path=name)
        try:
            self._check_state(task)
        except FspopError as error:
            raise type(error)(f"{name}: {error}", path=name) from error
        self.load_state_dict(task)
        self._random = state["random"]

    def _say_overruled(self, recorded: Mapping[str, Any], name: str) -> None:
        """A rate that was changed in the program is not the one that goes on."""
        mine, usual = self.options.plain(), Options()
        for option in ("learning_rate", "momentum", "weight_decay"):
            theirs = recorded.get(option, getattr(usual, option))
            if option in mine and option not in self.hparams and mine[option] != theirs:
                warnings.warn(
                    f"{name}: {option}={mine[option]:g} is given here, but training goes on with "
                    f"what it had there, where {theirs:g} was given; set_{option} or set_options "
                    "changes it",
                    stacklevel=3,
                )

    def _map_location(self) -> Any:
        chosen = self.options.device_map
        return self.device if chosen is None else chosen

    def _begin(self) -> None:
        """Before training: puts the random numbers back to where the checkpoint was, as late as
        possible, and writes what could not be written when training was here before.
        """
        if self._random is not None:
            random_state.restore(self._random, str(self.device))
            self._random = None
        self._write_due()

    @classmethod
    def from_checkpoint(cls, path: str | PathLike[str], model: Any = None, **options: Any) -> Self:
        """A trainer that goes on from `path`: the recorded model and plain options, and those given
        here, such as the data; `model` where the recorded class is not enough.

        A subclass whose constructor does not take `model` and any options makes both itself, from
        what is given here.
        """
        if not _takes_any(cls):
            trainer = cls(**options) if model is None else cls(model=model, **options)
        else:
            with trainer_state(path) as state:
                recorded, arguments = state["options"], state["model_class"]["arguments"]
            trainer = cls(load_model(path, model), **{**recorded, **options})
            trainer._model_arguments = arguments if model is None else None
        trainer.load_checkpoint(path)
        return trainer


def _takes_any(cls: type) -> bool:
    parameters = inspect.signature(cls).parameters
    return "model" in parameters and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
