"""Strategies: pure functions from what was reported to who starts anew, where and with what."""

from fspop.mutators.base import Decision, MemberView, Mutator, MutatorState, View
from fspop.mutators.explore import Perturb
from fspop.mutators.fixed_schedule import FixedSchedule
from fspop.mutators.ranking import rank, unranked
from fspop.mutators.single_worker import SingleWorkerExplore
from fspop.mutators.truncation import TruncationSelection
from fspop.mutators.winner_take_all import WinnerTakeAllGenetic

__all__ = [
    "Decision",
    "FixedSchedule",
    "MemberView",
    "Mutator",
    "MutatorState",
    "Perturb",
    "SingleWorkerExplore",
    "TruncationSelection",
    "View",
    "WinnerTakeAllGenetic",
    "rank",
    "unranked",
]
