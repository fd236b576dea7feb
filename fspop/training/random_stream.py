"""Global random numbers of somebody's own: whoever draws inside disturbs nobody outside."""

import random
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch

from fspop.training.random_state import seed_all


class RandomStream:
    """A context in which random, NumPy and torch (CPU) go on with this stream's own numbers.

    It starts from `seed` at its first entry and goes on where it was left at each later one. The
    same is done with further `generators`.
    """

    def __init__(self, seed: int, generators: Iterable[torch.Generator] = ()):
        self._seed, self._generators = seed, list(generators)
        self._inside: list[Any] | None = None
        self._outside: list[Any] = []

    def __enter__(self) -> None:
        self._outside = self._get()
        if self._inside is None:
            seed_all(self._seed)
            for generator in self._generators:
                generator.manual_seed(self._seed)
        else:
            self._set(self._inside)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside = self._get()
        self._set(self._outside)

    def _get(self) -> list[Any]:
        return [[each.get_state() for each in self._generators], *_get()]

    def _set(self, states: list[Any]) -> None:
        for generator, state in zip(self._generators, states[0], strict=True):
            generator.set_state(state)
        _set(states[1:])


def _get() -> list[Any]:
    states: list[Any] = [random.getstate(), torch.get_rng_state()]
    if "numpy" in sys.modules:
        import numpy

        states.append(numpy.random.get_state(legacy=False))
    return states


def _set(states: list[Any]) -> None:
    random.setstate(states[0])
    torch.set_rng_state(states[1])
    if len(states) > 2:
        import numpy

        numpy.random.set_state(states[2])
