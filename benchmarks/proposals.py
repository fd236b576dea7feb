"""How long does a strategy that learns take for one proposal?

    .venv/bin/python benchmarks/proposals.py [--json]

PB2's model after 1,000 observed intervals, seven other members being in training, in a space of
seven hparams, on one thread. It is done inside a commit, while other workers wait for the lock. The
bar is for the time of the processor, which a busy machine does not stretch as it does the clock's.
"""

import argparse
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import Figure, show
from fspop.mutators import Bayesian
from fspop.mutators.explore import Past, Row
from fspop.space import Boolean, Choice, Integer, LogUniform, Quantized, Space, Uniform
from fspop.worker.environment import limit_threads

MEMBERS = 8
SAMPLES = 31
SPACE = Space(
    {
        "learning_rate": LogUniform(1e-6, 1.0),
        "momentum": Uniform(0.0, 1.0),
        "width": Integer(1, 64, log=True),
        "dropout": Quantized(0.0, 0.5, 0.1),
        "activation": Choice(["relu", "tanh", "gelu"]),
        "norm": Boolean(),
        "hue": Uniform(0.0, 0.5),
    }
)


def observed(rule: Bayesian, n: int) -> Past:
    """What the rule goes by after `n` intervals of random hparams, the last members still at it."""
    rng, memory = random.Random(0), {}
    for i in range(n):
        hparams, step = SPACE.sample(rng), 10 * (i // MEMBERS)
        row = Row(step, 10, step / 10, hparams, hparams["momentum"])
        memory = rule.learned(memory, row, SPACE)
    step, score = 10 * n // MEMBERS, n / MEMBERS
    running = [(step, score, SPACE.sample(rng)) for _ in range(MEMBERS - 1)]
    return Past(memory, "max", step, score, running)


def medians_ms(n: int) -> tuple[float, float]:
    """Processor time and wall-clock time of a proposal after `n` observations."""
    rule = Bayesian()
    past, hparams = observed(rule, n), SPACE.sample(random.Random(1))
    processor_s, wall_s = [], []
    for seed in range(SAMPLES):
        begun_s = time.process_time(), time.perf_counter()
        rule.apply(hparams, SPACE, random.Random(seed), past)
        processor_s.append(time.process_time() - begun_s[0])
        wall_s.append(time.perf_counter() - begun_s[1])
    return 1000 * statistics.median(processor_s), 1000 * statistics.median(wall_s)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    limit_threads(1)  # as a worker does
    medians_ms(10)  # imports numpy
    few, many = medians_ms(100), medians_ms(1000)
    figures = [
        Figure("PB2, a proposal after 100 observations, processor", few[0], "ms"),
        Figure("PB2, a proposal after 1,000 observations, processor", many[0], "ms", 50.0),
        Figure("PB2, a proposal after 1,000 observations, wall clock", many[1], "ms"),
    ]
    return show(figures, given.json)


if __name__ == "__main__":
    sys.exit(main())
