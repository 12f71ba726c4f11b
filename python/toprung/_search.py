"""`Search`: a program asks a search for trials, trains them itself, and tells what came of them.

It speaks to the engine through one `toprung ask-tell` process that lives as long as the search object.
"""

from __future__ import annotations

import os
import socket
import threading
from types import TracebackType
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional, Sequence, Type, Union

from ._beside import Beside, SearchError
from ._errors import InvalidHyperparameters
from ._hyperparameters import Hyperparameters
from ._metrics import encoded, numbers, whole

_LONGEST_WAIT = 60.0


class Decision(NamedTuple):
    """What to do with a trial now."""

    kind: str
    """``train`` until `length`, ``pause`` (save, then leave the trial) or ``stop``."""
    length: int
    reason: str
    over: bool
    """Nothing more is wanted of this attempt."""


class Best(NamedTuple):
    """The best trial of a search."""

    trial: int
    metric: float
    length: int
    hparams: Hyperparameters
    checkpoint: Optional[str]


class AskedTrial:
    """A trial to train. Use it in a ``with`` block; leave the block to be done with it.

    An exception tells the search that the trial failed, `InvalidHyperparameters` that it makes no sense, and an interrupt
    gives it back.
    """

    def __init__(self, search: Search, given: Mapping[str, Any], lane: int) -> None:
        self._search = search
        self.lane = lane
        self.id: int = given["trial"]
        self.attempt: int = given["attempt"]
        self.hparams = Hyperparameters(given["hparams"])
        self.seed: int = given["trial_seed"]
        self.max_length: int = given["max_length"]
        self.time_metric: str = given["time_metric"]
        self.metric: str = given["metric"]
        self.checkpoint: Optional[str] = given["checkpoint"]
        """What to go on from, by the label under which it was saved; None: from the beginning."""
        self.from_length: int = given["from_length"]
        """The length of that checkpoint."""
        self.length = self.from_length
        """The length being trained in `lengths`, else the last one told."""
        self.decision = Decision("train", given["train_until"], "as it was handed out", False)
        """The newest answer; another thread may find here that the trial is to pause or stop."""

    def lengths(self) -> Iterator[int]:
        """The lengths to train, one after another; ends when the search has had enough. Report each of them, or at
        least the one at which a decision is due (``trial.decision.length``)."""
        length = self.from_length
        while self.decision.kind == "train" and not self.decision.over:
            # A checkpoint that reaches so far already is trained one length on: the search waits for a validation.
            if length >= self.decision.length and length > self.from_length:
                raise SearchError(
                    f"trial {self.id} was to be trained until length {self.decision.length}, and no validation was "
                    f"reported there: call trial.report({self.metric}=...)"
                )
            length += 1
            self.length = length
            yield length

    def report(self, *, checkpoint: Optional[str] = None, **metrics: Any) -> Decision:
        """Tells a validation at the current length of `lengths`, and what was saved there, if anything."""
        return self.tell(self.length, metrics, checkpoint=checkpoint)

    def tell(
        self,
        length: int,
        metrics: Optional[Mapping[str, Any]] = None,
        *,
        checkpoint: Optional[str] = None,
        training: bool = False,
    ) -> Decision:
        """Tells metrics and a checkpoint at a length. Lengths grow; one that was told before is not counted again."""
        line: Dict[str, Any] = {"length": whole("length", length), "training": training}
        if metrics:
            line["metrics"] = {name: encoded(value) for name, value in numbers(metrics).items()}
        if checkpoint is not None:
            line["checkpoint"] = str(checkpoint)
        self.length = int(length)
        return self._tell(line)

    def done(self) -> Decision:
        """It has nothing more to train."""
        return self._tell({"outcome": "done"})

    def failed(self, message: str) -> Decision:
        """It failed; it is tried again until ``max_restarts`` is used up."""
        return self._tell({"outcome": "failed", "message": message[:4000]})

    def invalid(self, message: str = "") -> Decision:
        """Its hyperparameters make no sense; another trial takes its place."""
        return self._tell({"outcome": "invalid", "message": message[:4000]})

    def release(self) -> Decision:
        """Gives it back, to go on later from its checkpoint."""
        return self._tell({"outcome": "released"})

    def close(self) -> None:
        """Leaves the trial: gives it back if it is to pause, else it is done."""
        if not self.decision.over:
            self.release() if self.decision.kind == "pause" else self.done()

    def _tell(self, line: Dict[str, Any]) -> Decision:
        told = self._search._request({"tell": {"trial": self.id, "attempt": self.attempt, **line}})["told"]
        self._decide(told)
        return self.decision

    def _decide(self, told: Mapping[str, Any]) -> None:
        self.decision = Decision(told["decision"], told["length"], told["reason"], told["over"])
        if self.decision.over:
            self._search._closed(self)

    def __enter__(self) -> AskedTrial:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> bool:
        if error is None:
            self.close()
        elif not self.decision.over:
            if isinstance(error, InvalidHyperparameters):
                self.invalid(str(error))
            elif isinstance(error, Exception):
                self.failed(f"{type(error).__name__}: {error}")
            else:
                self.release()
        return isinstance(error, InvalidHyperparameters)

    def __repr__(self) -> str:
        return f"<trial {self.id}, attempt {self.attempt}: {dict(self.hparams)}>"


class Search:
    """A search whose trials this program trains.

        with toprung.Search("search.yaml", client="notebook") as search:
            for trial in search:
                with trial:
                    model = load(trial.checkpoint) if trial.checkpoint else make(trial.hparams)
                    for length in trial.lengths():
                        train(model)
                        trial.report(loss=validate(model), checkpoint=save(model, trial.id, length))
            print(search.best)

    * `experiment`: the number of an experiment, or an experiment file with ``entrypoint: external``, which is started.
    * `client`: this program's name, the same after its restart (it is given its open trials again then) and no other
      program's; if it is not given, one of the host and the process.
    * `sets`: changes of the file, such as ``["searcher.max_trials=8"]``.
    * `server`, `data_dir`: as the options of `toprung`. Without a server the engine runs inside this program's
      `toprung ask-tell` process, and others join it by the data directory.
    * `binary`: the program `toprung`; else what ``TOPRUNG_BINARY`` says or the ``PATH`` has.
    """

    def __init__(
        self,
        experiment: Union[int, str, "os.PathLike[str]"],
        *,
        client: Optional[str] = None,
        sets: Sequence[str] = (),
        server: Optional[str] = None,
        data_dir: Union[None, str, "os.PathLike[str]"] = None,
        binary: Optional[str] = None,
    ) -> None:
        self.client = client or f"{socket.gethostname()}-{os.getpid()}"
        self.best: Optional[Best] = None
        """The best trial, once the search is over."""
        self.state: Optional[str] = None
        """``completed``, ``killed`` or ``error``, once the search is over."""
        self.reason = ""
        """Why there is no trial now, or why the search is over."""
        command = ["ask-tell", os.fspath(experiment) if not isinstance(experiment, int) else str(experiment)]
        command += ["--client", self.client]
        command += [word for change in sets for word in ("--set", change)]
        command += ["--server", server] if server else []
        command += ["--data-dir", os.fspath(data_dir)] if data_dir else []
        self._lock = threading.Lock()
        self._open: Dict[int, AskedTrial] = {}
        again = "make a new Search with the same client to go on"
        self._beside = Beside(command, self._noticed, again=again, binary=binary)
        self.experiment: int = self._beside.begun["experiment"]

    def ask(self, *, lane: int = 0, wait: float = 0.0) -> Optional[AskedTrial]:
        """A trial, or None: then `reason` says why, and `state` whether the search is over.

        A lane is one of the trials that this program trains at a time: each thread asks in its own.
        """
        answer = self._request({"ask": {"lane": lane, "wait": min(wait, _LONGEST_WAIT)}})
        if answer["over"]:
            self._over(answer["over"])
            return None
        if answer["nothing"]:
            self.reason = answer["nothing"]["reason"]
            return None
        trial = AskedTrial(self, answer["assignment"], lane)
        with self._lock:
            self._open[trial.id] = trial
        return trial

    def trials(self, lane: int = 0) -> Iterator[AskedTrial]:
        """Trials of a lane until the search is over; waits where there is none for now. A trial that was not left is
        left when the next one is asked for."""
        while self.state is None:
            trial = self.ask(lane=lane, wait=_LONGEST_WAIT)
            if trial is not None:
                yield trial
                trial.close()

    def __iter__(self) -> Iterator[AskedTrial]:
        return self.trials()

    def close(self) -> None:
        """Ends the process beside this one. Trials that are open stay so for their lease."""
        self._beside.close()

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _over(self, over: Mapping[str, Any]) -> None:
        self.state, self.reason = over["state"], over["reason"]
        best = over["best"]
        if best:
            label = best["checkpoint"] and best["checkpoint"]["path"]
            metric = float(best["metric"])
            self.best = Best(best["trial"], metric, best["length"], Hyperparameters(best["hparams"]), label)

    def _closed(self, trial: AskedTrial) -> None:
        with self._lock:
            if self._open.get(trial.id) is trial:
                del self._open[trial.id]

    def _request(self, line: Dict[str, Any]) -> Dict[str, Any]:
        return self._beside.request(line)

    def _noticed(self, line: Optional[Mapping[str, Any]]) -> None:
        if line is None or "notice" not in line:
            return
        with self._lock:
            trial = self._open.get(line["notice"]["trial"])
        if trial is not None and trial.attempt == line["attempt"]:
            trial._decide(line["notice"])
