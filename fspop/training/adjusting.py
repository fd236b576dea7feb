"""What may change while a Trainer trains: hyperparameters, options, frozen layers."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from torch import nn

from fspop.errors import HparamsNotApplied, InvalidSetting
from fspop.training import freezing
from fspop.training.assembly import Assembly
from fspop.training.dataset_loader import DatasetLoader
from fspop.training.hparam_places import (
    Attribute,
    Place,
    attributes,
    keep_entry,
    overlaps,
    put_back,
)
from fspop.training.options import Options
from fspop.training.schedules import Schedule

_LIVE_OPTIONS = ("accumulate_steps", "clip_grad_norm")
_REACHABLE = ("model", "loss_fn")
_TUNED = ("learning_rate", "momentum", "weight_decay", "batch_size", *_LIVE_OPTIONS)
_CHANGED = (
    *("options", "hparams", "_shared", "_validated", "stop_reason", "_callbacks"),
    *("optimizer", "schedules", "train_dataset", "train_loader", "val_loader", "test_loader"),
    *("feed",),
)
_DRIVES = {"lr_scheduler": ("learning_rate", "lr"), "mtm_scheduler": ("momentum", "beta1")}
_FIXED = (
    *("loss_function", "loss_options", "optim_function", "optim_options", "param_groups"),
    *("amp", "compile", "model_args", "device_id", "seed"),
)


class Adjustable(Assembly):
    """Hyperparameters applied live and proven, options set later, layers frozen and freed."""

    def build(self) -> None:
        """Makes every part; what was frozen stays so."""
        super().build()
        frozen, self.frozen, self._constant = self.frozen, [], set()
        self._freeze(frozen)

    # -- freezing
    def freeze(self, *names: str) -> None:
        """Freezes all layers at or below these dotted names: their parameters and, unless the
        option freeze_statistics is False, the statistics of their batch norms never change.
        """
        self._freeze(freezing.expand(self.model, names))

    def unfreeze(self, *names: str) -> None:
        """Makes all layers at or below these dotted names trainable, but for parameters that were
        not before they were frozen, or that a frozen layer shares.
        """
        self._unfreeze(freezing.expand(self.model, names))

    def freeze_to(self, n: int) -> None:
        """Freezes the first `n` layers: modules with parameters or buffers of their own."""
        self._freeze(freezing.first_layers(self.model, n))

    def unfreeze_to(self, n: int) -> None:
        """Makes the first `n` layers trainable."""
        self._unfreeze(freezing.first_layers(self.model, n))

    def _freeze(self, names: list[str]) -> None:
        parameters, frozen = self._parameters_of(names), self._parameters_of(self.frozen)
        constant = {key for key, each in parameters.items() if not each.requires_grad}
        self._constant |= constant - frozen.keys()
        self.frozen = sorted({*self.frozen, *names})
        freezing.set_trainable(parameters.values(), False)
        self._after_freezing(names)

    def _unfreeze(self, names: list[str]) -> None:
        self.frozen = sorted(set(self.frozen) - set(names))
        freed = self._parameters_of(names)
        freed = {key: freed[key] for key in freed.keys() - self._parameters_of(self.frozen).keys()}
        trained = [each for key, each in freed.items() if key not in self._constant]
        self._constant -= freed.keys()
        freezing.set_trainable(trained, True)
        self._after_freezing(names)

    def _parameters_of(self, names: list[str]) -> dict[int, nn.Parameter]:
        return {id(each): each for each in freezing.parameters_of(self.model, names)}

    def _after_freezing(self, names: list[str]) -> None:
        if names and self.world_size > 1:  # which parameters are averaged is fixed when it is made
            self.network = self.make_network()
        if names and self.model.training:
            self.set_modes()

    def set_modes(self) -> None:
        """The model in training mode, what is frozen in it in evaluation mode."""
        self._held.let_go()
        self.model.train()
        keeps = self.frozen and self.options.freeze_statistics
        self._still = freezing.wholly_frozen(self.model, self.frozen) if keeps else []
        for module in self._still:
            module.eval()

    def keep_still(self) -> None:
        """What is frozen back in evaluation mode, whoever called `model.train()` meanwhile, and
        kept there to the end of the step, whoever does so in it.
        """
        self._held.hold(self._still)

    # -- options
    def set_options(self, **changes: Any) -> None:
        """Sets options as the constructor would have, in the middle of training.

        What a checkpoint holds (learning_rate, momentum, weight_decay, batch_size, …) becomes a
        hyperparameter and so survives resuming. New training data, or another `shuffle`, begins
        with the first batch of its epoch. What the parts were made from is fixed and raises
        InvalidSetting. What is refused changes nothing.
        """
        for name in changes:
            if name in _FIXED:
                raise InvalidSetting(f"Trainer.{name}: fixed once made; make another Trainer")
        with ExitStack() as undo:
            undo.callback(self._hold())
            self.options = self.options.changed(**changes)
            self._remake(changes)
            tuned = self._under_new_schedules(changes)
            tuned |= {name: value for name, value in changes.items() if name in _TUNED}
            if tuned:
                beside = {} if self.context is None else self._beside(tuned)
                self.apply_hparams({**beside, **tuned})
            undo.pop_all()

    def _under_new_schedules(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The hparams to assign to new schedules, too. Alone, one given as an object comes with a
        peak of its own, and what was assigned before is forgotten.
        """
        found: dict[str, Any] = {}
        for option in _DRIVES.keys() & changes.keys():
            mine = {n: v for n, v in self.hparams.items() if n.partition(".")[0] in _DRIVES[option]}
            if self.context is None and _has_peak(changes[option]):
                self.hparams = {n: v for n, v in self.hparams.items() if n not in mine}
            else:
                found |= mine
        return found

    def _hold(self) -> Callable[[], None]:
        """What puts back all that `set_options` changes, but for the places of hparams."""
        before = {name: vars(self)[name] for name in _CHANGED if name in vars(self)}
        groups = before["optimizer"].param_groups if "optimizer" in before else []
        entries = [keep_entry(group, key) for group in groups for key in group if key != "params"]
        feed = before.get("feed")
        loader = feed and feed.loader

        def restore() -> None:
            for name in _CHANGED:
                vars(self).pop(name, None)
            vars(self).update(before)
            for each in entries:
                each()
            if feed and feed.loader is not loader:
                feed.go_on_with(loader)

        return restore

    def _remake(self, changes: Mapping[str, Any]) -> None:
        if {"lr_scheduler", "mtm_scheduler"} & changes.keys():
            self.make_schedules()
            self.schedules.move_to(self.iteration, self.feed.epoch)
        if _DATA & changes.keys():
            self._remake_loaders(changes)
        if {"callbacks", "tb_writer"} & changes.keys():
            self.make_callbacks()
        if {"num_epochs", "stop_when_acc", "early_stop"} & changes.keys():
            self.stop_reason = ""

    def _remake_loaders(self, changes: Mapping[str, Any]) -> None:
        self._validated = None
        kept, feed = (self.train_dataset, self.train_loader), self.feed
        size = getattr(self.train_loader, "batch_size", None)
        size = self.options.batch_size if "batch_size" in changes else size
        self.make_loaders()
        if not _TRAINING_DATA & changes.keys():
            (self.train_dataset, self.train_loader), self.feed = kept, feed
            return
        if _NEW_ORDER & changes.keys():
            self.feed.load({"epoch": feed.epoch, "place": 0, "batch": 0})
        else:
            self.feed = feed
            self.feed.go_on_with(self.train_loader)
        if isinstance(self.train_loader, DatasetLoader) and size is not None:
            self.train_loader.batch_size = size

    def set_num_epochs(self, num_epochs: int) -> None:
        """Where fit() ends; a larger number than before lets a finished trainer go on."""
        self.set_options(num_epochs=num_epochs)

    def set_learning_rate(self, learning_rate: float) -> None:
        """In every param group; the peak, where a schedule drives it."""
        self.set_options(learning_rate=learning_rate)

    def set_momentum(self, momentum: float) -> None:
        """In every param group, betas[0] where the optimizer has betas."""
        self.set_options(momentum=momentum)

    def set_batch_size(self, batch_size: int) -> None:
        """From the next batch on."""
        self.set_options(batch_size=batch_size)

    # -- hyperparameters
    def apply_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Sets each hyperparameter where it takes effect and reads it back.

        HparamsNotApplied for one that has no place, or has another value in effect afterwards,
        InvalidSetting for a value that cannot be; all is as before then. Moments, schedules' places
        and the place in the data are kept. Alone, what was assigned before stays; in a population
        `hparams` are all there are.
        """
        with ExitStack() as undo:
            undo.callback(setattr, self, "_shared", self._shared)
            self._shared = dict(self._shared) if self.context is None else {}
            super().apply_hparams(hparams)
            undo.pop_all()
        self._validated = None
        self.feed.drop()  # workers hold a copy of the data as it was
        self.call("on_hparams")

    def kept_beside(self, hparams: Mapping[str, Any]) -> dict[str, Any]:
        """Alone those assigned before; in a population none."""
        return self._beside(hparams) if self.context is None else {}

    def take_back(self, hparams: Mapping[str, Any]) -> None:
        """Takes a checkpoint's hparams over: assigns those that its optimizer and schedules, which
        are loaded already, do not hold themselves.
        """
        self.hparams, given = {}, dict(hparams)
        leaves = {name: [leaf for leaf, _ in self.leaves({name: given[name]})] for name in given}
        rest = {n: given[n] for n in given if not all(map(self._is_optimized, leaves[n]))}
        if given:
            self.apply_hparams(rest)
        self.hparams = given

    def _is_optimized(self, name: str) -> bool:
        return name.partition(".")[0] != "dropout" and bool(self._optimized(name))

    def _beside(self, hparams: Mapping[str, Any]) -> dict[str, Any]:
        """Those assigned before, unless all their places are assigned anew."""
        taken = [place for name, _ in self.leaves(hparams) for place in self.places(name)]
        kept = {}
        for name, value in self.hparams.items():
            mine = [place for leaf, _ in self.leaves({name: value}) for place in self.places(leaf)]
            if name in hparams:
                stays = self.is_nested(name, value) and self.is_nested(name, hparams[name])
            else:
                stays = not mine or not all(overlaps(place, taken) for place in mine)
            if stays:
                kept[name] = value
        return kept

    def places(self, name: str) -> list[Place]:
        """Where the hyperparameter takes effect.

        A schedule's peak, the optimizer, dropout layers, the batch size; else any attribute of this
        name in the loss, the training data and its transforms, or a subclass of the trainer.
        """
        found = self._optimized(name)
        if not found and name == "batch_size" and isinstance(self.train_loader, DatasetLoader):
            found = [Attribute(self.train_loader, "batch_size")]
        if not found and name in _LIVE_OPTIONS:
            found = [_LiveOption(self, name)]
        if not found:
            found = attributes([self.loss_fn], name)
            found += attributes([self] if self._is_declared(name) else [], name)
            found += [Shared(place, self._shared) for place in self._in_data(name)]
        return found

    def _in_data(self, name: str) -> list[Place]:
        prefix = "train_dataset."
        if name.startswith(prefix):
            return attributes([self.train_dataset], name.removeprefix(prefix))
        return attributes(_parts_of(self.train_dataset), name)

    def hold(self) -> None:
        """Sets again what another member has set differently in data that both train on."""
        for place, value in self._shared.values():
            if place.get() != value:
                place.set(value)

    def _optimized(self, name: str) -> list[Place]:
        return self.schedules.places(name) or super().places(name)

    def _is_declared(self, name: str) -> bool:
        first = name.partition(".")[0]
        if "." in name and first in _REACHABLE:
            return True
        ours = (cls for cls in type(self).__mro__ if cls.__module__.startswith("fspop."))
        inherited = any(first in vars(cls) for cls in ours)
        return not inherited and first not in self._own and not first.startswith("_")


_NEW_ORDER = {"train_dataset", "train_loader", "shuffle"}
_TRAINING_DATA = {*_NEW_ORDER, "drop_last", "num_workers", "collate_fn"}
_DATA = _TRAINING_DATA | {
    each.name
    for each in dataclasses.fields(Options)
    if each.name.endswith(("_dataset", "_loader", "val_batch_size", "test_batch_size"))
}


class Shared:
    """A spot in the data, which other members of the same process may use, too."""

    def __init__(self, place: Place, noted: dict[Any, tuple[Place, Any]]):
        self.place, self.noted = place, noted
        self.spot = getattr(place, "spot", (id(place),))

    def set(self, value: Any) -> None:
        """Sets it, and notes that it has to stay so."""
        self.place.set(value)
        self.noted[self.spot] = (self.place, self.place.get())

    def get(self) -> Any:
        """Reads it."""
        return self.place.get()

    def keep(self) -> Callable[[], None]:
        """As in Place."""
        return put_back(self.place)


class _LiveOption:
    """An option that may change while training."""

    def __init__(self, trainer: Adjustable, name: str):
        self.trainer, self.name = trainer, name
        self.spot = ("option", name)

    def set(self, value: Any) -> None:
        try:
            self.trainer.options = self.trainer.options.changed(**{self.name: value})
        except InvalidSetting as error:
            raise HparamsNotApplied(f"hyperparameter {error}", name=self.name) from error

    def get(self) -> Any:
        return getattr(self.trainer.options, self.name)

    def keep(self) -> Callable[[], None]:
        return functools.partial(setattr, self.trainer, "options", self.trainer.options)


def _has_peak(scheduler: Any) -> bool:
    each = scheduler.values() if isinstance(scheduler, Mapping) else [scheduler]
    return all(isinstance(one, Schedule) for one in each)


def _parts_of(dataset: Any) -> list[Any]:
    """The data set, those it wraps, and their transforms, where augmentation strengths live."""
    found: list[Any] = []
    waiting = [dataset]
    while waiting:
        part = waiting.pop(0)
        if part is None or any(part is each for each in found):
            continue
        found.append(part)
        inner = [getattr(part, name, None) for name in _WRAPPED]
        inner += [part.children()] if isinstance(part, nn.Module) else []
        for each in inner:
            waiting += each if isinstance(each, list | tuple | Iterator) else [each]
    return found


_WRAPPED = ("dataset", "datasets", "transform", "transforms", "target_transform")
