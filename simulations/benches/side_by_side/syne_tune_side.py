"""Syne Tune's side of side_by_side.py. Prints a line of JSON for each workload and size, and stops where one takes too long."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import sys
import time
from typing import Any, Callable, Dict, Optional

import numpy as np
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.backend.trial_status import Trial
from syne_tune.blackbox_repository.blackbox import Blackbox
from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
from syne_tune.config_space import randint, uniform
from syne_tune.optimizer.baselines import ASHA, RandomSearch

LIMIT = float(sys.argv[1])
LENGTHS = 27


def space(count: int) -> Dict[str, Any]:
    return {f"x{index}": uniform(0.0, 1.0) for index in range(count)}


def repeat(once: Callable[[], object], most: int, limit: float) -> float:
    """Seconds of processor time for one, over as many as fit into the limit."""
    began, started, count = time.process_time(), time.monotonic(), 0
    while count < most and (count == 0 or time.monotonic() - started < limit):
        once()
        count += 1
    return (time.process_time() - began) / count


def show(workload: str, size: int, seconds: float) -> None:
    print(json.dumps({"workload": workload, "n": size, "seconds": seconds}), flush=True)


class Ask:
    """Asks a scheduler for trials, and tells it one report of each."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.created = 0

    def once(self, value: Optional[float] = None) -> None:
        suggestion = self.scheduler.suggest()
        trial = Trial(trial_id=self.created, config=suggestion.config, creation_time=None)
        self.created += 1
        self.scheduler.on_trial_add(trial)
        if value is None:
            value = sum((x - 0.3) ** 2 for x in suggestion.config.values())
            self.scheduler.on_trial_complete(trial, {"metric": value, "epoch": 1})
        else:
            self.scheduler.on_trial_result(trial, {"metric": value, "epoch": 1})


class Curves(Blackbox):
    """Power laws around an optimum, of four floats and 27 lengths: a unit of length takes one second."""

    def __init__(self) -> None:
        super().__init__(space(4), {"epoch": randint(1, LENGTHS)}, ["metric", "elapsed"])
        self.lengths = np.arange(1, LENGTHS + 1)
        self.generator = random.Random(1)

    @property
    def fidelity_values(self) -> np.ndarray:
        return self.lengths

    def _objective_function(self, configuration: Any, fidelity: Any = None, seed: Any = None) -> Any:
        asymptote = sum((configuration[f"x{index}"] - 0.4) ** 2 for index in range(4)) / 4
        rate = 0.3 + 0.9 * self.generator.random()
        curve = asymptote + (1.0 - asymptote) * (1.0 + self.lengths) ** -rate
        return np.stack([curve, self.lengths.astype(float)], axis=1)


def random_search() -> None:
    ask = Ask(RandomSearch(config_space=space(4), metrics=["metric"], random_seed=1))
    show("random", 0, repeat(ask.once, 5_000, LIMIT / 4))


def asha() -> None:
    generator = random.Random(7)
    for trials in (1_000, 10_000, 100_000):
        began = time.monotonic()
        scheduler = ASHA(
            config_space=space(4),
            metric="metric",
            time_attr="epoch",
            max_t=LENGTHS,
            reduction_factor=3,
            random_seed=1,
        )
        # The rung as the reports of so many trials leave it; sending them all would take their number squared.
        _, recorded = scheduler.brackets[0].rungs[-1]
        for number in range(trials):
            recorded[-1 - number] = {"metric": generator.random()}
        ask = Ask(scheduler)
        ask.once(0.5)
        show("asha", trials, repeat(lambda: ask.once(generator.random()), 200, LIMIT / 3))
        if time.monotonic() - began > LIMIT:
            break


def simulation(trials: int) -> None:
    scheduler = ASHA(
        config_space=space(4),
        metric="metric",
        time_attr="epoch",
        max_t=LENGTHS,
        reduction_factor=3,
        random_seed=1,
    )
    tuner = Tuner(
        trial_backend=UserBlackboxBackend(Curves(), elapsed_time_attr="elapsed"),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_started=trials, max_wallclock_time=1e9),
        n_workers=100,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        save_tuner=False,
        tuner_name="side-by-side",
    )
    began = time.process_time()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        tuner.run()
    show("simulation", trials, (time.process_time() - began) / trials)


logging.getLogger().setLevel(logging.ERROR)
random_search()
asha()
simulation(1_000)
