"""Several objectives and constraints: what dominates what, in plain Python. Pure."""

from fspop.objectives.dominance import crowding, dominates, fronts, order
from fspop.objectives.front import front_volume, with_point
from fspop.objectives.goal import Goal, Limit, Score, goal_of, objectives_of
from fspop.objectives.hypervolume import contributions, hypervolume

__all__ = [
    "Goal",
    "Limit",
    "Score",
    "contributions",
    "crowding",
    "dominates",
    "front_volume",
    "fronts",
    "goal_of",
    "hypervolume",
    "objectives_of",
    "order",
    "with_point",
]
