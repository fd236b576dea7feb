"""What a recipe is."""

from typing import Any

from msgspec import Struct

FORMAT = 1


class Segment(Struct, frozen=True):
    """From `step` on these hparams are in effect, until the next segment begins."""

    step: int
    hparams: Any


class Recipe(Struct, frozen=True, kw_only=True):
    """A schedule of whole hparams, ascending from step 0, and where it comes from.

    `generation` of run `run` followed it to `until`, where its score was `value` (None: it has no
    score that counts). A file that somebody else wrote may leave out where it comes from.
    """

    format: int = FORMAT
    run: str = ""
    generation: str = ""
    mode: str = ""
    value: float | None = None
    until: int | None = None
    segments: list[Segment]

    @property
    def schedule(self) -> list[tuple[int, Any]]:
        """The (step, hparams) that `fspop.mutators.Replay` takes."""
        return [(segment.step, segment.hparams) for segment in self.segments]
