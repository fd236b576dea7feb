"""A transformers.Trainer as a Task: its own train(), in turns with the worker."""

import copy
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.utils.data import IterableDataset, SequentialSampler

from fspop.errors import TaskError
from fspop.training.hparam_places import Place, attributes, in_groups
from fspop.training.integrations.borrowed import BorrowedLoop
from fspop.training.integrations.missing import require
from fspop.training.integrations.seeded import SeededLoader
from fspop.training.plain_state import like, plain
from fspop.training.task import Context

_TIMES = ("_runtime", "_per_second", "_time")
_SHUFFLERS = ("RandomSampler", "SeedableRandomSampler")


class TransformersTask(BorrowedLoop):
    """Trains what `build` returns, a transformers.Trainer; a step is a step of its optimizer.

    It trains for as long as it is wanted, on schedules of at least `context.total_steps`; its
    `evaluate()` is the evaluation. It saves nothing itself. The training data has an order of this
    member's own; batches that transformers chooses in another way than shuffled or in order keep
    their own, and resume as exactly as transformers resumes them.

    Hyperparameters take effect in the optimizer, in dropout layers, in the batch size, in
    `max_grad_norm` and the label smoother. One that only `build` reads: see `apply_other`.
    """

    # -- what a subclass defines
    def build(self, context: Context) -> Any:
        """A fresh transformers.Trainer with its model and data."""
        raise TypeError(f"{type(self).__name__} does not define build(context)")

    # -- how it runs
    def setup(self, context: Context) -> None:
        """As in BorrowedLoop. ConfigurationError where transformers or accelerate is missing."""
        for library in ("accelerate", "transformers"):
            if not sys.modules.get(library):
                require(library, "transformers", type(self).__name__)
        super().setup(context)

    def run_loop(self) -> None:
        """Builds and trains."""
        self.trainer = self.build(self.context)
        self._makes_optimizer = self.trainer.optimizer is None
        self._adapt()
        if self.loading is None:
            self.trainer.train()
            return
        with tempfile.TemporaryDirectory(prefix="fspop-") as folder:
            size = {"train_batch_size": self.trainer._train_batch_size}  # else it is warned about
            text = json.dumps({**self.loading["trainer_state"], **size})
            (Path(folder) / "trainer_state.json").write_text(text)
            self.trainer._load_from_checkpoint = self._load_model
            self.trainer.train(resume_from_checkpoint=folder)

    def _adapt(self) -> None:
        from transformers import ProgressCallback

        trainer, arguments = self.trainer, self.trainer.args
        arguments.max_steps = max(arguments.max_steps, self.context.total_steps or 0)
        arguments.save_strategy = type(arguments.save_strategy)("no")
        if "batch_size" in self.hparams:
            arguments.per_device_train_batch_size = self.hparams["batch_size"]
            trainer._train_batch_size = self.hparams["batch_size"]
        trainer.remove_callback(ProgressCallback)
        trainer.add_callback(_callback(self))
        self._own_loader, trainer.get_train_dataloader = trainer.get_train_dataloader, self._loader

    def _loader(self) -> Any:
        """The Trainer's loader, with the same batches in an order that resumes in its middle."""
        theirs = self._own_loader()
        sampler = getattr(theirs.batch_sampler, "sampler", None)
        shuffled = type(sampler).__name__ in _SHUFFLERS
        if isinstance(theirs.dataset, IterableDataset):
            raise TaskError(
                f"{type(self).__name__}: an IterableDataset cannot be resumed in the middle of an "
                "epoch; give a data set with a length, or write the loop as a loop_task"
            )
        if not shuffled and type(sampler) is not SequentialSampler:
            return theirs
        arguments = self.trainer.args
        workers: dict[str, Any] = {"num_workers": arguments.dataloader_num_workers}
        if workers["num_workers"]:
            workers["prefetch_factor"] = arguments.dataloader_prefetch_factor
        return SeededLoader(
            theirs.dataset,
            self.trainer._train_batch_size,
            theirs.collate_fn,
            seed=self.context.seed,
            shuffle=shuffled,
            drop_last=arguments.dataloader_drop_last,
            **workers,
        )

    def before_step(self) -> None:
        """Called by the Trainer's callback."""
        self.turns.next_step()

    def _load_model(self, folder: str, model: Any = None) -> None:
        assert self.loading is not None
        self.trainer.model.load_state_dict(self.loading["model"])

    def after_begin(self) -> None:
        """Called by the Trainer's callback: its optimizer exists now."""
        if self.loading is None:
            return
        trainer, state = self.trainer, self.loading
        for name in ("optimizer", "lr_scheduler", "scaler"):
            part = self._part(name)
            if part is not None and name in state:
                # An optimizer keeps the very tensors it is given, perhaps somebody's live state.
                part.load_state_dict(like(part.state_dict(), copy.deepcopy(state[name])))
        trainer._tr_loss = state["loss"].clone().to(trainer.args.device)
        trainer._total_loss_scalar, trainer._globalstep_last_logged = state["logged"]
        trainer.current_flos = state["flos"]

    def _part(self, name: str) -> Any:
        owner = self.trainer.accelerator if name == "scaler" else self.trainer
        return getattr(owner, name, None)

    # -- what is asked between two steps
    def measure(self) -> dict[str, float]:
        """What the Trainer's `evaluate` gives, without the times."""
        logged = len(self.trainer.state.log_history)
        metrics = self.trainer.evaluate()
        del self.trainer.state.log_history[logged:]  # how often somebody looked changes nothing
        return {n: v for n, v in metrics.items() if not n.endswith(_TIMES) and n != "epoch"}

    def scalars(self) -> dict[str, float]:
        """Learning rates, and what the Trainer logged last."""
        logged = (self.trainer.state.log_history[-1:] or [{}])[0].items()
        found = {name: float(v) for name, v in logged if isinstance(v, int | float)}
        return {**super().scalars(), **found}

    def state(self) -> dict[str, Any]:
        """Model, optimizer, scheduler, and the Trainer's own state."""
        trainer = self.trainer
        parts = {name: self._part(name) for name in ("optimizer", "lr_scheduler", "scaler")}
        return {
            "model": trainer.model.state_dict(),
            **{n: plain(each.state_dict()) for n, each in parts.items() if each is not None},
            "trainer_state": self._trainer_state(),
            "loss": trainer._tr_loss.detach(),
            "logged": [trainer._total_loss_scalar, trainer._globalstep_last_logged],
            "flos": float(trainer.current_flos),
        }

    def _trainer_state(self) -> dict[str, Any]:
        from transformers.trainer_callback import ExportableState

        trainer = self.trainer
        everybody = [*trainer.callback_handler.callbacks, trainer.control]
        stateful: dict[str, Any] = {}
        for each in everybody:
            if isinstance(each, ExportableState):
                stateful.setdefault(type(each).__name__, []).append(each.state())
        state = dataclasses.asdict(trainer.state)
        history = [_without_times(each) for each in state["log_history"]]
        plained: dict[str, Any] = plain(
            {**state, "log_history": history, "stateful_callbacks": stateful}
        )
        return plained

    # -- hyperparameters
    def models(self) -> list[nn.Module]:
        """The Trainer's."""
        return [self.trainer.model]

    def optimizers(self) -> list[Optimizer]:
        """The Trainer's."""
        return [self.trainer.optimizer]

    def schedulers(self) -> list[Any]:
        """The Trainer's."""
        return [self.trainer.lr_scheduler]

    def places(self, name: str) -> list[Place]:
        """As in BorrowedLoop; what transformers leaves without weight decay stays so."""
        trainer = self.trainer
        if name == "batch_size":
            return attributes([trainer], "_train_batch_size")
        if name == "max_grad_norm":
            return attributes([trainer.args], name)
        if name in ("label_smoothing", "label_smoothing_factor"):
            return attributes([trainer.label_smoother], "epsilon")
        if name == "weight_decay" and self._makes_optimizer:
            optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
            return in_groups(optimizer, optimizer.param_groups[:1], name)
        return super().places(name)


def _callback(task: TransformersTask) -> Any:
    from transformers import TrainerCallback

    class Turn(TrainerCallback):  # type: ignore[misc]
        """Holds the Trainer before each step, and keeps others from stopping it."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            task.after_begin()

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            task.before_step()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step < state.max_steps:
                control.should_training_stop = control.should_epoch_stop = False

        on_epoch_end = on_step_end

    return Turn()


def _without_times(logged: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in logged.items() if not name.endswith(_TIMES)}
