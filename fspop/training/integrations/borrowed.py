"""A Task whose training loop belongs to somebody else and is driven in turns."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from fspop.errors import HparamsNotApplied, InvalidSetting
from fspop.seeds import derive_seed
from fspop.training.hparam_places import Place, attributes, dropouts, group_key, in_groups
from fspop.training.integrations.rates import flat, scheduled_rates
from fspop.training.integrations.turns import Turns
from fspop.training.random_stream import RandomStream
from fspop.training.schedules.optimizers import param_groups
from fspop.training.task import Context
from fspop.training.tuned import Tuned

_RATES = ("learning_rate", "lr")
_MOMENTA = ("momentum", "betas", "beta1")


class BorrowedLoop(Tuned):
    """What the integrations share: five verbs around a loop in a thread that takes turns.

    A subclass says how the loop runs (`run_loop`, which calls `turns.next_step()` before each step)
    and what is in it. All of that happens in the loop's thread. The loop is begun at the first verb
    that needs it, so that a checkpoint is known by then: `loading` is its state, None for a fresh
    start. Where hyperparameters take effect is as for TorchTask; a learning rate that a scheduler
    drives is the peak of its curve.
    """

    context: Context
    turns: Turns
    loading: dict[str, Any] | None = None

    # -- what a subclass defines
    def run_loop(self) -> None:
        """Trains, as long as it is let; called once, in the loop's thread."""
        raise NotImplementedError

    def measure(self) -> float | Mapping[str, float]:
        """The evaluation."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """All that training changes, as tensors and plain data."""
        raise NotImplementedError

    def models(self) -> list[nn.Module]:
        """The modules whose dropout layers count."""
        return [self.model]

    def optimizers(self) -> list[Optimizer]:
        """The optimizers whose param groups count."""
        return [self.optimizer]

    def schedulers(self) -> list[Any]:
        """The torch schedulers that drive them."""
        return []

    def owners(self) -> list[Any]:
        """The objects an attribute of which may be a hyperparameter."""
        return [self]

    # -- the verbs a worker calls
    def setup(self, context: Context) -> None:
        """Remembers the context; the loop begins later."""
        self.context = context
        self.hparams = dict(context.hparams) if isinstance(context.hparams, Mapping) else {}
        self.turns = Turns(self.run_loop, type(self).__name__)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begins the loop where `state` was taken."""
        self.loading = state
        self.turns.start()
        self.loading = None

    def apply_hparams(self, hparams: Mapping[str, Any]) -> None:
        """As in Tuned: set where they take effect, and read back."""
        self.turns.inside(lambda: super(BorrowedLoop, self).apply_hparams(hparams))

    def effective_hparams(self) -> dict[str, Any]:
        """As in Tuned: what is in effect now."""
        found: dict[str, Any] = self.turns.inside(
            lambda: super(BorrowedLoop, self).effective_hparams()
        )
        return found

    def train(self, n_steps: int) -> None:
        """Lets the loop take exactly `n_steps` steps."""
        self.turns.go(n_steps)

    def evaluate(self) -> Any:
        """What `measure` gives, on random numbers of its own: a look changes nothing."""
        return self.turns.inside(self._measure_apart)

    def _measure_apart(self) -> Any:
        with RandomStream(derive_seed(self.context.seed, "evaluate")):
            return self.measure()

    def state_dict(self) -> dict[str, Any]:
        """What `state` gives."""
        found: dict[str, Any] = self.turns.inside(self.state)
        return found

    def close(self) -> None:
        """Ends the loop; the last verb."""
        self.turns.close()

    # -- hyperparameters
    def places(self, name: str) -> list[Place]:
        """Param groups, dropout layers, or else plain attributes of `owners`."""
        if name == "dropout":
            return [place for model in self.models() for place in dropouts(model)]
        found: list[Place] = []
        unknown_group: InvalidSetting | None = None
        for optimizer in self.optimizers():
            try:
                found += self._in_optimizer(getattr(optimizer, "optimizer", optimizer), name)
            except InvalidSetting as error:
                unknown_group = error  # good if another optimizer has it
        if unknown_group is not None and not found:
            raise unknown_group
        return found or attributes(self.owners(), name)

    def _in_optimizer(self, optimizer: Optimizer, name: str) -> list[Place]:
        base, _, group = name.partition(".")
        if not in_groups(optimizer, optimizer.param_groups, base):
            return []
        chosen = param_groups(optimizer, group_key(group))
        rates = scheduled_rates(optimizer, self.schedulers())
        if base in _RATES and rates:
            return [rate for rate in rates if any(rate.group is each for each in chosen)]
        if base in _MOMENTA:
            self._refuse_cycled(name)
        return in_groups(optimizer, chosen, base)

    def _refuse_cycled(self, name: str) -> None:
        for scheduler in flat(self.schedulers()):
            if getattr(scheduler, "cycle_momentum", False):
                raise HparamsNotApplied(
                    f"hyperparameter {name}: {type(scheduler).__name__} sets the momentum at each "
                    "step; give it cycle_momentum=False, or take the name out of the space",
                    name=name,
                )
