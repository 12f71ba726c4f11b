"""Optuna's side of side_by_side.py. Prints a line of JSON for each workload and size, and stops where one takes too long."""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Callable, Dict

import optuna

LIMIT = float(sys.argv[1])
FLOAT = optuna.distributions.FloatDistribution(0.0, 1.0)


def bowl(values: Dict[str, float]) -> float:
    return sum((value - 0.3) ** 2 for value in values.values())


def suggest(study: optuna.Study, count: int) -> optuna.Trial:
    """One suggestion with its report."""
    trial = study.ask()
    values = {f"x{index}": trial.suggest_float(f"x{index}", 0.0, 1.0) for index in range(count)}
    study.tell(trial, bowl(values))
    return trial


def repeat(once: Callable[[], object], most: int, limit: float) -> float:
    """Seconds of processor time for one, over as many as fit into the limit."""
    began, started, count = time.process_time(), time.monotonic(), 0
    while count < most and (count == 0 or time.monotonic() - started < limit):
        once()
        count += 1
    return (time.process_time() - began) / count


def show(workload: str, size: int, seconds: float) -> None:
    print(json.dumps({"workload": workload, "n": size, "seconds": seconds}), flush=True)


def history(study: optuna.Study, trials: int, dimensions: int) -> None:
    generator = random.Random(7)
    names = [f"x{index}" for index in range(dimensions)]
    distributions = dict.fromkeys(names, FLOAT)
    batch = []
    for _ in range(trials):
        values = {name: generator.random() for name in names}
        batch.append(optuna.trial.create_trial(params=values, distributions=distributions, value=bowl(values)))
    study.add_trials(batch)


def random_search() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    show("random", 0, repeat(lambda: suggest(study, 4), 5_000, LIMIT / 4))


def tpe() -> None:
    for trials in (1_000, 10_000, 100_000):
        began = time.monotonic()
        sampler = optuna.samplers.TPESampler(seed=1, multivariate=True)
        study = optuna.create_study(sampler=sampler)
        history(study, trials, 5)
        suggest(study, 5)
        if time.monotonic() - began > LIMIT:
            break
        show("tpe", trials, repeat(lambda: suggest(study, 5), 100, LIMIT / 3))
        if time.monotonic() - began > LIMIT:
            break


def asha() -> None:
    for trials in (1_000, 10_000, 100_000):
        began = time.monotonic()
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1), pruner=pruner)
        generator = random.Random(7)
        # As the pruner leaves them: each has its value at rung 0 among its attributes.
        batch = []
        for _ in range(trials):
            value = generator.random()
            batch.append(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.PRUNED,
                    value=value,
                    intermediate_values={1: value},
                    system_attrs={"completed_rung_0": value},
                )
            )
        study.add_trials(batch)

        def decide() -> None:
            trial = study.ask()
            trial.report(generator.random(), 1)
            trial.should_prune()
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)

        decide()
        if time.monotonic() - began > LIMIT:
            break
        show("asha", trials, repeat(decide, 200, LIMIT / 3))


optuna.logging.set_verbosity(optuna.logging.ERROR)
random_search()
asha()
# Last, because what it does not reach costs most.
tpe()
