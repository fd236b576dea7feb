"""Strategies: pure functions from what was reported to who starts anew, where and with what."""

from fspop.mutators.backtracking import Backtracking, BestSoFar
from fspop.mutators.base import Decision, MemberView, Mutator, MutatorState, View
from fspop.mutators.bayesian import Bayesian
from fspop.mutators.exploit import Copy, Exploit, Standing, Truncation
from fspop.mutators.explore import ExploreRule, Perturb
from fspop.mutators.fire import FIRE
from fspop.mutators.fixed_schedule import FixedSchedule
from fspop.mutators.iterated_restarts import IteratedRestarts
from fspop.mutators.multiple_frequencies import MultipleFrequencies
from fspop.mutators.natural_selection import Bands, NaturalSelection
from fspop.mutators.pb2 import PB2
from fspop.mutators.population_based import PopulationBased, PopulationStrategy
from fspop.mutators.random_search import RandomSearch
from fspop.mutators.ranking import rank, unranked
from fspop.mutators.replay import Replay
from fspop.mutators.single_worker import SingleWorkerExplore
from fspop.mutators.tournament import BinaryTournament, Tournament
from fspop.mutators.truncation import TruncationSelection
from fspop.mutators.welch_t_test import Welch, WelchTTest
from fspop.mutators.winner_take_all import WinnerTakeAllGenetic

__all__ = [
    "FIRE",
    "PB2",
    "Backtracking",
    "Bands",
    "Bayesian",
    "BestSoFar",
    "BinaryTournament",
    "Copy",
    "Decision",
    "Exploit",
    "ExploreRule",
    "FixedSchedule",
    "IteratedRestarts",
    "MemberView",
    "MultipleFrequencies",
    "Mutator",
    "MutatorState",
    "NaturalSelection",
    "Perturb",
    "PopulationBased",
    "PopulationStrategy",
    "RandomSearch",
    "Replay",
    "SingleWorkerExplore",
    "Standing",
    "Tournament",
    "Truncation",
    "TruncationSelection",
    "View",
    "Welch",
    "WelchTTest",
    "WinnerTakeAllGenetic",
    "rank",
    "unranked",
]
