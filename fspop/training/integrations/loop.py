"""A plain training loop as a Task: a function that keeps its own `for` and asks for batches."""

import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fspop.errors import HparamsNotApplied, TaskError
from fspop.training.feed import Feed
from fspop.training.hparam_places import Place, attributes
from fspop.training.integrations.borrowed import BorrowedLoop
from fspop.training.loaders import make_loader, ready_loader
from fspop.training.plain_state import like, plain
from fspop.training.task import Context

Train = Callable[["LoopTask"], None]


def loop_task(train: Train) -> Callable[[], "LoopTask"]:
    """What `Experiment(task=...)` takes, of a function that trains: see LoopTask."""
    return functools.partial(LoopTask, train)


class LoopTask(BorrowedLoop):
    """Runs `train(member)`, where member is this object, as one member of a population.

    `train` makes its model, optimizer and so on, hands over what a checkpoint has to hold with
    `member.keep(...)`, and loops over `member.batches(loader)`, inside of `member.epochs()` or not,
    or over `member.steps()`. A step ends where the loop asks for the next batch. It never ends by
    itself: the population decides when enough was trained.

    `member.hparams[name]` is a hyperparameter now; one that has no place in an optimizer, a dropout
    layer or the loader has to be read there, else it is an error. `member.context` is the context,
    `member.step` the number of steps taken.
    """

    def __init__(self, train: Train):
        self._train = train
        self._kept: dict[str, Any] = {}
        self._measure: Callable[[], Any] | None = None
        self._feed: Feed | None = None
        self._source: Any = None
        self._place: dict[str, int] = {"epoch": 0, "place": 0, "batch": 0}
        self._placeless: set[str] = set()
        self._once_through = False

    # -- what the loop calls
    def keep(self, *, evaluate: Callable[[], Any], **kept: Any) -> None:
        """Once, before the first step: the objects that training changes, by name, and how to
        score them.

        Each has `state_dict()` and `load_state_dict(state)`: model, optimizer, scheduler, scaler,
        an average of the weights, … What a checkpoint holds is loaded into them here.
        """
        if self._kept:
            raise TaskError(f"{self._named()}: keep() is called twice; call it once, with all")
        for name, each in kept.items():
            if not callable(getattr(each, "load_state_dict", None)):
                raise TaskError(
                    f"{self._named()}: keep({name}={type(each).__name__}): it has no state_dict() "
                    "and load_state_dict(state); give what has, or hold it in such an object"
                )
        self._kept, self._measure = kept, evaluate
        if self.loading is not None:
            self._load(self.loading)

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs from where training stands on, without end."""
        while True:
            epoch = self._where()["epoch"]
            yield epoch
            if self._where()["epoch"] == epoch:
                raise TaskError(
                    f"{self._named()}: an epoch ended without member.batches(loader) having come "
                    "to its end; loop over it inside of member.epochs(), without break"
                )

    def batches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """The batches that are left in this epoch, a step each; the next call gives the next epoch.

        `loader` is a DataLoader, or any iterable of batches, and always the same object. Its order
        is this member's own, a function of seed and epoch.
        """
        feed = self._feed_of(loader)
        while not (feed.batch and feed.at_end):
            self._begin_step()
            batch = feed.fetch()
            yield batch
            feed.done()
            self.step += 1
        feed.next_epoch()
        self._once_through = True

    def steps(self) -> Iterator[int]:
        """For a loop without a loader: the numbers of the steps, from where training stands on."""
        for _ in itertools.count():
            self._begin_step()
            yield self.step
            self.step += 1
            self._once_through = True

    def _begin_step(self) -> None:
        if not self._kept:
            raise TaskError(
                f"{self._named()}: its first step comes before member.keep(model=…, optimizer=…, "
                "evaluate=…), so that there would be nothing to save"
            )
        self.turns.next_step()

    def _feed_of(self, loader: Any) -> Feed:
        if self._feed is None:
            source = ready_loader(loader, "member.batches")
            self._source = loader
            self._feed = Feed(make_loader(source, "train", {"seed": self.context.seed}))
            self._feed.load(self._place)
        elif loader is not self._source:
            raise TaskError(
                f"{self._named()}: member.batches() was given a second loader; make one before the "
                "loop and give always that one"
            )
        return self._feed

    # -- what drives it
    def setup(self, context: Context) -> None:
        """As in BorrowedLoop."""
        super().setup(context)
        self.step = context.step
        self.hparams = ReadNames(self.hparams)

    def run_loop(self) -> None:
        """Calls `train`."""
        self._train(self)

    def measure(self) -> Any:
        """What `evaluate` gives. HparamsNotApplied for an hparam that the loop never looked at."""
        read: set[str] = getattr(self.hparams, "read", set())
        unread = sorted(self._placeless - read) if self._once_through else []
        if unread:
            raise HparamsNotApplied(
                f"hyperparameter {unread[0]}: it has no place in an optimizer, a dropout layer or "
                f"the loader, and {self._named()} never read member.hparams[{unread[0]!r}]",
                name=unread[0],
            )
        assert self._measure is not None
        return self._measure()

    def state(self) -> dict[str, Any]:
        """What is kept, and the place in the data."""
        kept = {name: plain(each.state_dict()) for name, each in self._kept.items()}
        return {"kept": kept, "step": self.step, "feed": self._where()}

    def _load(self, state: dict[str, Any]) -> None:
        if self._kept.keys() != state["kept"].keys():
            raise TaskError(
                f"{self._named()}: keeps {sorted(self._kept)}, but the checkpoint holds "
                f"{sorted(state['kept'])}"
            )
        for name, each in self._kept.items():
            # An optimizer keeps the very tensors it is given; `state` may be somebody's live state.
            saved = copy.deepcopy(state["kept"][name])
            each.load_state_dict(like(each.state_dict(), saved))
        self.step, self._place = state["step"], dict(state["feed"])

    def _where(self) -> dict[str, int]:
        return self._place if self._feed is None else self._feed.state()

    # -- hyperparameters
    def models(self) -> list[nn.Module]:
        """The modules among what is kept."""
        return [each for each in self._kept.values() if isinstance(each, nn.Module)]

    def optimizers(self) -> list[Optimizer]:
        """The optimizers among what is kept."""
        return [each for each in self._kept.values() if isinstance(each, Optimizer)]

    def schedulers(self) -> list[Any]:
        """The schedulers among what is kept."""
        kept = self._kept.values()
        return [e for e in kept if isinstance(getattr(e, "scheduler", e), LRScheduler)]

    def apply_hparams(self, hparams: Mapping[str, Any]) -> None:
        """As in Tuned, into the mapping that the loop reads, too."""
        before = self.hparams
        super().apply_hparams(hparams)
        self.hparams = ReadNames(hparams, before)

    def places(self, name: str) -> list[Place]:
        """As in BorrowedLoop, and `batch_size`."""
        if name == "batch_size" and self._feed is not None:
            return attributes([self._feed.loader], name)
        return super().places(name)

    def owners(self) -> list[Any]:
        """None: a loop reads `member.hparams`."""
        return []

    def apply_other(self, name: str, value: Any) -> None:
        """Leaves it to the loop to read it."""
        self._placeless.add(name)

    def _named(self) -> str:
        return getattr(self._train, "__name__", type(self._train).__name__)


class ReadNames(dict[str, Any]):
    """Hyperparameters that know which of them were read."""

    def __init__(self, values: Mapping[str, Any], before: Mapping[str, Any] | None = None):
        super().__init__(values)
        self.read: set[str] = set(getattr(before, "read", ()))

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dict."""
        self.read.add(name)
        return super().get(name, default)
