"""The same simulation on many seeds, spread over the CPUs."""

import dataclasses
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from fspop.experiment import Experiment
from fspop.mutators import RandomSearch
from fspop.simulation.measure import result
from fspop.simulation.population import Simulation


def beside(experiment: Experiment) -> list[Experiment]:
    """The same with random search, unless that is what it is."""
    chance = RandomSearch()
    return [dataclasses.replace(experiment, mutator=chance)] * (experiment.mutator != chance)


def simulated(experiment: Experiment) -> float | None:
    """The result of one simulation."""
    simulation = Simulation(experiment)
    simulation.run(simulation.solved)
    mutator, records = experiment.mutator, simulation.records()
    return result(simulation.problem, mutator, simulation.state, records)


def study(experiments: Sequence[Experiment], seeds: Sequence[int]) -> list[list[float | None]]:
    """The results of each experiment, by seed."""
    jobs = [dataclasses.replace(e, seed=seed) for e in experiments for seed in seeds]
    found = _all(jobs)
    n = len(seeds)
    return [found[i * n : (i + 1) * n] for i in range(len(experiments))]


def _all(jobs: Sequence[Experiment]) -> list[float | None]:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n = min(cpus, len(jobs))
    if n < 2:
        return [simulated(job) for job in jobs]
    with ProcessPoolExecutor(n, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(simulated, jobs))
