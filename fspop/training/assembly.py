"""The parts of a Trainer, each made by a method that a subclass may override."""

import copy
import weakref
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from fspop.errors import InvalidSetting, TaskRaised
from fspop.training import freezing, named, random_state
from fspop.training.callbacks import Callback
from fspop.training.dataset_loader import Share
from fspop.training.feed import Feed
from fspop.training.history import History
from fspop.training.hparam_places import Place
from fspop.training.inference import build
from fspop.training.loaders import Loader, NoLoader, check_shared_out, make_loader, ready_loader
from fspop.training.options import make_options
from fspop.training.over_ranks import wrap
from fspop.training.scheduling import Schedules
from fspop.training.sinks import Lines, TensorBoardSink
from fspop.training.task import Context
from fspop.training.tuned import Tuned

_PARTS = frozenset(
    "device model loss_fn optimizer schedules scaler network feed seed".split()
    + "train_loader val_loader test_loader train_dataset".split()
)


class Assembly(Tuned):
    """Options and parts. The parts come into being in `build`: at once where the model is given as
    an object, else in `setup` or at the first use of one of them, after the seed is set.
    """

    distributed = True
    device: torch.device
    loss_fn: Any
    schedules: Schedules
    scaler: torch.amp.GradScaler
    network: Any
    """The model as training calls it: with gradients averaged over ranks where there are several,
    compiled where that was asked for."""
    feed: Feed
    seed: int
    train_loader: Loader
    val_loader: Loader | None
    test_loader: Loader | None

    def __init__(self, model: Any = None, **options: Any):
        """`model` is a module, or a class or function that makes one from `model_args`.

        The options are those of docs/training.md; an unknown one raises InvalidSetting.
        """
        before = set(vars(self))
        self.options = make_options(**options)
        self.context: Context | None = None
        self.history = History()
        self.hparams = {}
        self.iteration = 0
        self.frozen: list[str] = []
        self.stop_reason = ""
        self.best: dict[str, Any] | None = None
        self._given_model = model
        self._building = False
        self._window = 0
        self._right: Any = 0
        self._counted: Any = 0
        self._budget = -1
        self._in_step = 0
        self._paused = False
        self._validated: tuple[list[int], dict[str, float]] | None = None
        self._random: dict[str, Any] | None = None
        self._still: list[nn.Module] = []
        self._held = freezing.Held()
        self._constant: set[int] = set()
        self._shared: dict[Any, tuple[Place, Any]] = {}
        self._callbacks: list[Callback] = []
        self._display: list[Lines] = []
        self._own = frozenset({*set(vars(self)) - before, "_own"} | _PARTS)
        self.make_callbacks()
        if isinstance(model, nn.Module):
            self.build()

    def __getattr__(self, name: str) -> Any:
        if name not in _PARTS or self._building:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            self.build()
        except AttributeError as error:  # a property that asked for the part would hide it
            made = f"{type(self).__name__}.{name}"
            raise TaskRaised(f"{made} could not be made: AttributeError: {error}") from error
        return getattr(self, name)

    def build(self) -> None:
        """Makes every part."""
        self._building = True
        try:
            self.seed = self.make_seed()
            self.device = self.make_device()
            self.model = self.make_model().to(self.device)
            self.loss_fn = self.make_loss()
            self.optimizer = self.make_optimizer()
            self.make_schedules()
            self.make_precision()
            self.make_loaders()
        finally:
            self._building = False

    @property
    def rank(self) -> int:
        """This process among those that train the member together; 0 for one by itself."""
        return self.context.rank if self.context else 0

    @property
    def world_size(self) -> int:
        """How many processes train the member together."""
        return self.context.world_size if self.context else 1

    # -- one method a part
    def make_seed(self) -> int:
        """The seed of the data's order. A given one also seeds the global generators here."""
        if self.context is not None:
            return self.context.seed
        if self.options.seed is None:
            return int(torch.randint(2**62, ()).item())
        random_state.seed_all(self.options.seed)
        return self.options.seed

    def make_device(self) -> torch.device:
        """Where the model lives: what the worker says, else the option device_id."""
        wanted = self.context.device if self.context else self.options.device_id
        if isinstance(wanted, int):
            wanted = "cpu" if wanted < 0 else f"cuda:{wanted}"
        try:
            device = torch.device(wanted)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise InvalidSetting(f"Trainer.device_id: got {wanted!r}: {reason}") from error
        return device

    def make_model(self) -> nn.Module:
        """The given module, or what the given class or function makes."""
        given = self._given_model
        if callable(given) and not isinstance(given, nn.Module):
            given = build(given, self.options.model_args)
        if not isinstance(given, nn.Module):
            raise InvalidSetting(
                f"Trainer.model: got {given!r}, but it must be a torch.nn.Module, a class or a "
                "function that makes one; or override make_model"
            )
        if self.context is not None:
            _claim(given)
        return given

    def make_loss(self) -> Any:
        """A function of outputs and targets."""
        loss = self._own_copy(self.options.loss_function)
        loss = named.make_loss(loss, self.options.loss_options)
        return loss.to(self.device) if isinstance(loss, nn.Module) else loss

    def make_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer; an object keeps its own settings but for those explicitly given."""
        options = self.options
        optimizer = named.make_optimizer(options, self.make_param_groups())
        self.optimizer = optimizer
        if not isinstance(options.optim_function, str | type):
            self._check_trains(optimizer)
            for name in ("learning_rate", "momentum", "weight_decay"):
                for place in super().places(name) if name in options.given else ():
                    place.set(getattr(options, name))
        return optimizer

    def _check_trains(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuses a given optimizer that would change nothing here."""
        modules = [each for each in (self.model, self.loss_fn) if isinstance(each, nn.Module)]
        ours = {id(p) for module in modules for p in module.parameters()}
        if not any(id(p) in ours for group in optimizer.param_groups for p in group["params"]):
            raise InvalidSetting(
                f"Trainer.optim_function: the {type(optimizer).__name__} has no parameter of "
                f"{type(self.model).__name__}, so nothing would be trained; make it of this very "
                "model, or give a function of the parameters that makes one"
            )

    def make_param_groups(self) -> list[Any]:
        """What the optimizer is made of: the parameters, in groups where `param_groups` asks."""
        modules = dict(self.model.named_modules())
        if not self.options.param_groups:
            return list(self.model.parameters())
        groups, taken = [], set()
        for group, names in self.options.param_groups.items():
            layers = freezing.expand(self.model, names)
            parameters = [p for name in layers for p in modules[name].parameters(recurse=False)]
            groups.append({"name": group, "params": parameters})
            taken |= set(map(id, parameters))
        rest = [p for p in self.model.parameters() if id(p) not in taken]
        return [*groups, {"name": "rest", "params": rest}] if rest else groups

    def make_schedules(self) -> None:
        """The schedules of learning rate and momentum, in effect from now on."""
        options = self.options
        self.schedules = Schedules(self.optimizer, vars(self).get("schedules"))
        lr, mtm = self._own_copy(options.lr_scheduler), self._own_copy(options.mtm_scheduler)
        self.schedules.add(lr, "learning_rate", options.learning_rate)
        self.schedules.add(mtm, "momentum", options.momentum)
        self.schedules.refresh()

    def make_precision(self) -> None:
        """Loss scaling for float16, and the network."""
        half = self.options.amp == "float16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        self.network = self.make_network()

    def make_network(self) -> Any:
        """The model as training calls it."""
        settings = self.options.compile
        network = wrap(self.model, self.device) if self.world_size > 1 else self.model
        if settings is False:
            return network
        return torch.compile(network, **({} if settings is True else dict(settings)))

    def make_datasets(self) -> tuple[Any, Any, Any]:
        """Data sets or ready loaders to train on, to validate with and to test with, or None.

        Override it to read them; `self.context.data` is the host's data folder in a population.
        """
        train, val, test = map(self._source, ("train", "val", "test"))
        return train, val, test

    def _source(self, split: str) -> Any:
        loader = getattr(self.options, f"{split}_loader")
        if loader is None:
            return getattr(self.options, f"{split}_dataset")
        return ready_loader(loader, f"{split}_loader")

    def make_loaders(self) -> None:
        """Loaders of the data sets, and the place in the first one."""
        options = self.options
        train, val, test = self.make_datasets()
        common = {
            "seed": self.seed,
            "num_workers": options.num_workers,
            "collate_fn": options.collate_fn,
        }
        if options.num_workers:
            common["pin_memory"] = self.device.type == "cuda"
        share = Share(self.rank, self.world_size, even=True)
        how = {"shuffle": options.shuffle, "drop_last": options.drop_last, "share": share}
        sized = {"batch_size": options.batch_size, **how, **common}
        self.train_dataset = train.dataset if isinstance(train, DataLoader) else train
        self.train_loader = NoLoader() if train is None else make_loader(train, "train", sized)
        check_shared_out(self.train_loader, self.world_size)
        self.val_loader = self._eval_loader(val, "val", common)
        self.test_loader = self._eval_loader(test, "test", common)
        self.feed = Feed(self.train_loader)

    def _eval_loader(self, source: Any, split: str, common: dict[str, Any]) -> Loader | None:
        if source is None:
            return None
        size = self.options.eval_batch_size(split)
        share = Share(self.rank, self.world_size)
        how = {"shuffle": False, "drop_last": False, "share": share}
        settings = {**common, "batch_size": size, **how}
        return make_loader(source, split, settings)

    def make_callbacks(self) -> None:
        """The given callbacks, and TensorBoard where a writer was given."""
        for each in self.options.callbacks:
            if not isinstance(each, Callback):
                raise InvalidSetting(
                    f"Trainer.callbacks: got {each!r}, but it must be a fspop.training.Callback"
                )
        writer, before = self.options.tb_writer, self._callbacks
        self._callbacks = list(self.options.callbacks)
        if writer is not None:
            kept = [e for e in before if isinstance(e, TensorBoardSink) and e.writer is writer]
            self._callbacks += kept or [TensorBoardSink(writer)]

    def _own_copy(self, given: Any) -> Any:
        """An option that one member's training changes; several members may be given the same."""
        return given if self.context is None else copy.deepcopy(given)

    def call(self, hook: str, *args: Any) -> None:
        """Calls this hook of every callback."""
        for each in (*self._callbacks, *self._display):
            getattr(each, hook)(self, *args)


_claimed: weakref.WeakSet[nn.Module] = weakref.WeakSet()


def _claim(model: nn.Module) -> None:
    """Refuses a module that has been a member's already: it would hold that one's weights."""
    if model in _claimed:
        raise InvalidSetting(
            f"Trainer.model: the same {type(model).__name__} object was given to two members; give "
            "a class or function that makes one, or make it in __init__"
        )
    _claimed.add(model)
