"""Rustuna's side of side_by_side.py. Prints a line of JSON for each workload and size, and stops where one takes too long."""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Callable, Dict

import rustuna
from rustuna.distributions import Distribution
from rustuna.samplers import RandomSampler, TPESampler

LIMIT = float(sys.argv[1])


def bowl(values: Dict[str, float]) -> float:
    return sum((value - 0.3) ** 2 for value in values.values())


def suggest(study: rustuna.Study, count: int) -> None:
    """One suggestion with its report."""
    trial = study.ask()
    values = {f"x{index}": trial.suggest_float(f"x{index}", 0.0, 1.0) for index in range(count)}
    study.tell(trial.number, bowl(values))


def repeat(once: Callable[[], object], most: int, limit: float) -> float:
    """Seconds of processor time for one, over as many as fit into the limit."""
    began, started, count = time.process_time(), time.monotonic(), 0
    while count < most and (count == 0 or time.monotonic() - started < limit):
        once()
        count += 1
    return (time.process_time() - began) / count


def show(workload: str, size: int, seconds: float) -> None:
    print(json.dumps({"workload": workload, "n": size, "seconds": seconds}), flush=True)


study = rustuna.create_study(sampler=RandomSampler(seed=1))
show("random", 0, repeat(lambda: suggest(study, 4), 50_000, LIMIT / 4))

for trials in (1_000, 10_000, 100_000):
    began = time.monotonic()
    study = rustuna.create_study(sampler=TPESampler(seed=1, multivariate=True))
    generator = random.Random(7)
    distributions = {f"x{index}": Distribution.float(0.0, 1.0) for index in range(5)}
    for _ in range(trials):
        params = {name: generator.random() for name in distributions}
        study.add_trial(rustuna.create_trial(params=params, distributions=distributions, value=bowl(params)))
    suggest(study, 5)
    if time.monotonic() - began > LIMIT:
        break
    show("tpe", trials, repeat(lambda: suggest(study, 5), 100, LIMIT / 3))
    if time.monotonic() - began > LIMIT:
        break
