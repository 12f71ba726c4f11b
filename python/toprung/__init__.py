"""Toprung in a training script: hyperparameters in, metrics and checkpoints out.

    import toprung

    with toprung.trial(defaults={"learning_rate": 1e-3, "hidden": 64}) as trial:
        model = make(trial.hparams.learning_rate, hidden=trial.hparams["hidden"])
        if trial.latest_checkpoint:
            model.load(trial.latest_checkpoint / "model.pkl")
        for epoch in trial.lengths():
            train(model)
            trial.report(validation_error=validate(model))
            with trial.save() as directory:
                model.save(directory / "model.pkl")

The loop starts after the length of the checkpoint and ends by itself when the trial is to pause, is stopped, or has
trained in full; the script then simply ends. A trial that saves no checkpoint cannot be paused and resumed, so save one
at each length that is reported as a validation. Report first, then save: should the machine fail in between, the length
is trained and reported once more (and counted once), whereas a saved length is never trained again.

The same script runs without Toprung: ``python train.py --learning_rate 0.1 --max-length 10`` takes the defaults and the
command line, prints each report as ``epoch=3 validation_error=0.12`` and saves below ``./checkpoints/``.
``python train.py --help`` lists what can be set; ``--resume checkpoints/run-1/epoch-3`` goes on from a checkpoint.

A program that trains by itself (a notebook, an instrument, another language's code) asks for trials instead: see `Search`.
A program that decides which trials there are and how long they train is a searcher of its own: see `CustomSearch`.

The package needs only the standard library, does nothing at import and reads the environment in ``toprung.trial()``.
"""

from ._beside import SearchError
from ._custom import CustomSearch, Event
from ._errors import AgentUnavailable, ContractError, InvalidHyperparameters
from ._hyperparameters import Hyperparameters
from ._search import AskedTrial, Best, Decision, Search
from ._trial import Trial, trial
from ._version import VERSION as __version__

__all__ = [
    "AgentUnavailable",
    "AskedTrial",
    "Best",
    "ContractError",
    "CustomSearch",
    "Decision",
    "Event",
    "Hyperparameters",
    "InvalidHyperparameters",
    "Search",
    "SearchError",
    "Trial",
    "__version__",
    "trial",
]
