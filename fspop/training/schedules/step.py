"""Falls in steps."""

from dataclasses import dataclass

from fspop.training.schedules.base import Schedule


@dataclass(eq=False)
class Step(Schedule):
    """max(lr_min, lr_max · lr_decay^⌊i / lr_decay_every⌋); no decay at i = 0."""

    lr_min: float = 1e-4
    lr_max: float = 1.0
    lr_decay: float = 0.001
    lr_decay_every: int = 10_000

    def check(self) -> None:
        """Raises InvalidSetting where a setting cannot work."""
        self._number("lr_max", above=0)
        self._number("lr_min", least=0, most=self.lr_max)
        self._number("lr_decay", above=0, most=1)
        self._whole("lr_decay_every", 1)

    def curve(self, iteration: int, epoch: int) -> float:
        """The formula above."""
        decays = iteration // self.lr_decay_every
        return max(self.lr_min, self.lr_max * self.lr_decay**decays)
