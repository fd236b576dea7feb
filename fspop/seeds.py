"""Random numbers that depend on what they are for, never on process, time or arrival order."""

import hashlib
import random


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from a run's seed and what it is for, e.g. `(seed, member, index,
    "explore")`.
    """
    text = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


class Rng:
    """Hands a mutator its random numbers: one independent stream per member and purpose.

    The stream of a member also depends on the index of the generation about to be born, so asking
    again, in another process or after a crash, gives the same numbers, and the next decision
    others.
    """

    def __init__(self, seed: int, next_index: list[int]):
        self._seed = seed
        self._next_index = next_index

    def member(self, member: int, purpose: str = "explore") -> random.Random:
        """The stream for the decision about `member`."""
        seed = derive_seed(self._seed, member, self._next_index[member], purpose)
        return random.Random(seed)

    def shared(self, purpose: str, number: int) -> random.Random:
        """The stream for a decision about the whole population, e.g. `("pairing", round)`."""
        return random.Random(derive_seed(self._seed, purpose, number))
