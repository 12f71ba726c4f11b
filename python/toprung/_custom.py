"""`CustomSearch`: a program decides a search, and agents train its trials.

It speaks to the engine through one `toprung decide` process that lives as long as the search object.
"""

from __future__ import annotations

import json
import os
import queue
import random
import sys
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Deque, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Type, Union

from ._beside import Beside, SearchError
from ._hyperparameters import Hyperparameters
from ._metrics import whole
from ._search import Best

_CLOSE = 90.0
_MOST_WISHES = 1000
_MOST_EVENTS = 500


class Event(NamedTuple):
    """What happened."""

    number: int
    kind: str
    """``begun`` (the first of all), ``created``, ``validated``, ``paused``, ``ended``, or ``experiment`` (a person has
    paused or resumed it)."""
    trial: int
    """The trial that it is about; 0: none."""
    hparams: Hyperparameters
    """Its hyperparameters."""
    length: int
    """How far it was trained."""
    train_until: int
    """The length that it trains to."""
    metric: Optional[float]
    """The searcher's metric: of this validation, else the newest one; None: there is none yet."""
    metrics: Dict[str, float]
    """All metrics of a validation."""
    state: str
    """How a trial has ended: ``completed``, ``stopped``, ``error``, ``invalid_hyperparameters`` or ``killed``."""
    reason: str


class CustomSearch:
    """A search that this program decides.

        with toprung.CustomSearch("search.yaml", client="random") as search:
            for event in search:
                if event.kind in ("begun", "ended"):
                    if event.number < 100:
                        search.create({"rate": search.random.uniform(0.1, 1.0)})
                    else:
                        search.finish("enough")
            print(search.best)

    What is decided in the body of the loop is carried out together, all of it or nothing, when the body is done. Keep what
    has to outlive this program in `memory`, and take chance from `random`: a program that is killed and started again with
    the number of its experiment is given its memory as it was after the last events that were handled, and the events
    after them.

    * `experiment`: the number of an experiment, or an experiment file with ``searcher: {name: custom}``, which is started.
    * `client`: this program's name, for people.
    * `resume`: a file that keeps the experiment's number: written when the experiment is started. If it is there already,
      that experiment goes on, and none is started. So a program that is started again goes on by itself.
    * `sets`: changes of the file, such as ``["searcher.max_concurrent_trials=4"]``.
    * `slots`: CPU slots for the trials (else all GPUs, or one for each core); only without a server.
    * `server`, `data_dir`: as the options of `toprung`. Without a server engine and agent run inside this program's
      `toprung decide` process.
    * `binary`: the program `toprung`; else what ``TOPRUNG_BINARY`` says or the ``PATH`` has.
    """

    def __init__(
        self,
        experiment: Union[int, str, "os.PathLike[str]"],
        *,
        client: Optional[str] = None,
        resume: Union[None, str, "os.PathLike[str]"] = None,
        sets: Sequence[str] = (),
        slots: Optional[int] = None,
        server: Optional[str] = None,
        data_dir: Union[None, str, "os.PathLike[str]"] = None,
        binary: Optional[str] = None,
    ) -> None:
        what = _number_in(resume) or experiment
        command = ["decide", str(what) if isinstance(what, int) else os.fspath(what)]
        command += ["--client", client if client is not None else (os.path.basename(sys.argv[0]) or "python")]
        if not isinstance(what, int):
            command += [word for change in sets for word in ("--set", change)]
        command += ["--slots", str(slots)] if slots else []
        command += ["--server", server] if server else []
        command += ["--data-dir", os.fspath(data_dir)] if data_dir else []
        self._batches: "queue.Queue[Optional[Mapping[str, Any]]]" = queue.Queue()
        again = "start this program again with the experiment's number to go on"
        self._beside = Beside(command, self._batches.put, again=again, binary=binary, close_after=_CLOSE)
        begun = self._beside.begun
        self.experiment: int = begun["experiment"]
        if resume is not None and not isinstance(what, int):
            Path(resume).write_text(f"{self.experiment}\n", encoding="utf-8")
        self.metric: str = begun["metric"]
        self.smaller_is_better: bool = begun["smaller_is_better"]
        self.time_metric: str = begun["time_metric"]
        self.max_length: int = begun["max_length"]
        self.max_concurrent_trials: int = begun["max_concurrent_trials"]
        """0: no limit but the slots."""
        self.hyperparameters: Dict[str, Any] = begun["hyperparameters"]
        """The space, as the experiment file has it, every default filled in."""
        self.seed: int = begun["seed"]
        self.memory: Dict[str, Any] = json.loads(begun["state"]) if begun["state"] else {}
        """What outlives this program: whatever JSON can hold, at most 256 KiB. Saved with what is decided."""
        self.random = random.Random(f"{self.seed}/0")
        """Chance that comes out the same when an event is handled again: it begins anew with each event."""
        self.progress: Optional[float] = None
        """How far the search is, from 0 to 1, for people."""
        self.ignored: List[str] = []
        """What came too late in the last decision: a trial had ended before it was heard here."""
        self.best: Optional[Best] = None
        """The best trial, once the search is over."""
        self.state: Optional[str] = None
        """``completed``, ``killed`` or ``error``, once the search is over."""
        self.reason = ""
        """Why the search is over."""
        self._next: int = begun["next_trial"]
        self._kept: str = begun["state"] or ""
        self._events: Deque[Event] = deque()
        self._wishes: List[Dict[str, Any]] = []
        self._seen: int = begun["seen"]
        self._posted: int = begun["seen"]
        self._handling: Optional[int] = None
        self._finishing = False

    # What the program wants

    def create(
        self,
        hparams: Optional[Mapping[str, Any]] = None,
        length: Optional[int] = None,
        *,
        clone_from: Optional[int] = None,
        reason: str = "",
    ) -> int:
        """A new trial; its id is returned. It begins when there is room.

        Without `hparams` they are drawn from the space, and those of a clone are its parent's. It trains to `length`, or in
        full; there it pauses until `train_to` or `stop`. With `clone_from` it begins from that trial's newest checkpoint.
        """
        create: Dict[str, Any] = {}
        if hparams is not None:
            create["hparams"] = dict(hparams)
        if length is not None:
            create["length"] = whole("length", length)
        if clone_from is not None:
            create["clone_from"] = whole("clone_from", clone_from)
        self._want({"create": create}, reason)
        self._next += 1
        return self._next - 1

    def train_to(self, trial: int, length: int, reason: str = "") -> None:
        """A trial trains on to a greater length: without a pause if it has not come to its length yet, else from its
        checkpoint."""
        self._want({"train": whole("trial", trial), "length": whole("length", length)}, reason)

    def pause(self, trial: int, reason: str = "") -> None:
        """A trial saves and gives its slots back; `train_to` lets it go on."""
        self._want({"pause": whole("trial", trial)}, reason)

    def stop(self, trial: int, reason: str = "") -> None:
        """A trial ends."""
        self._want({"stop": whole("trial", trial)}, reason)

    def finish(self, reason: str = "") -> None:
        """The search ends: what runs is stopped. The loop ends when that has happened."""
        self._want({"finish": True}, reason)
        self._finishing = True

    def decide(self) -> None:
        """Carries out now what was decided; the loop does it by itself. Only between the loop's events is it certain that
        a program that is killed decides the same again."""
        line: Dict[str, Any] = {"seen": self._seen, "wishes": self._wishes}
        _check_plain(self.memory, "memory")
        memory = json.dumps(self.memory, sort_keys=True)
        if memory != self._kept and (self.memory or self._kept):
            line["state"] = memory
        if self.progress is not None:
            line["progress"] = min(1.0, max(0.0, float(self.progress)))
        if not self._wishes and "state" not in line and self._seen == self._posted:
            return
        try:
            answer = self._beside.request(line)
        except SearchError as error:
            if error.over or self._is_over():
                # Somebody has ended the search: nothing is wanted any more.
                self._wishes, self._finishing = [], True
                return
            raise
        expected = [number for number in range(self._next - len(answer["trials"]), self._next)]
        if answer["trials"] != expected:
            raise SearchError(f"trials {answer['trials']} were created instead of {expected}: another program decides, too")
        self.ignored = [one["reason"] for one in answer["ignored"]]
        self._wishes = []
        self._posted = self._seen
        self._kept = memory

    # What happens

    def __iter__(self) -> Iterator[Event]:
        """What happens, until the search is over."""
        while self.state is None:
            if not self._events and not self._more():
                self.decide()
                if self.state is None:
                    self._take(self._batches.get())
                continue
            event = self._events.popleft()
            if not self._finishing:
                self._handling = event.number
                self.random.seed(f"{self.seed}/{event.number}")
                yield event
                self._handling = None
            self._seen = event.number
            if len(self._wishes) >= _MOST_WISHES // 2 or self._seen - self._posted >= _MOST_EVENTS:
                self.decide()

    def close(self) -> None:
        """Ends the process beside this one. Without a server the trials end with it, and go on when the program does."""
        self._beside.close()

    def __enter__(self) -> CustomSearch:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        try:
            if error is None and self.state is None:
                # The loop was left in the middle of its body, which is done all the same.
                self._seen = self._handling or self._seen
                self.decide()
                if self._finishing:
                    for _ in self:
                        pass
        finally:
            self.close()

    def _want(self, wish: Dict[str, Any], reason: str) -> None:
        if self._finishing:
            raise SearchError("nothing can be wanted after finish()")
        if len(self._wishes) >= _MOST_WISHES:
            raise SearchError(f"at most {_MOST_WISHES} things can be wanted at a time: call decide() between them")
        if reason:
            wish["reason"] = str(reason)[:200]
        self._wishes.append(wish)

    def _more(self) -> bool:
        """Takes in what has come already; whether there is an event to handle."""
        try:
            # After the end nothing comes but the end of the process.
            while self.state is None:
                self._take(self._batches.get_nowait())
        except queue.Empty:
            pass
        return bool(self._events) and self.state is None

    def _is_over(self) -> bool:
        """Whether the end has been told already."""
        try:
            while self.state is None:
                self._take(self._batches.get_nowait())
        except (queue.Empty, SearchError):
            pass
        return self.state is not None

    def _take(self, line: Optional[Mapping[str, Any]]) -> None:
        if line is None:
            raise SearchError("`toprung decide` has ended; start this program again with the experiment's number to go on")
        if "over" in line:
            over = line["over"]
            self.state, self.reason = over["state"], over["reason"]
            best = over["best"]
            if best:
                label = best["checkpoint"] and best["checkpoint"]["path"]
                metric = float(best["metric"])
                self.best = Best(best["trial"], metric, best["length"], Hyperparameters(best["hparams"]), label)
        else:
            self._events.extend(_event(event) for event in line["events"])


def _event(line: Mapping[str, Any]) -> Event:
    metric = line.get("metric")
    return Event(
        number=line["number"],
        kind=line["kind"],
        trial=line.get("trial", 0),
        hparams=Hyperparameters(line.get("hparams") or {}),
        length=line.get("length", 0),
        train_until=line.get("train_until", 0),
        metric=None if metric is None else float(metric),
        metrics={name: float(value) for name, value in line.get("metrics", {}).items()},
        state=line.get("state", ""),
        reason=line["reason"],
    )


def _check_plain(value: Any, path: str) -> None:
    """JSON would silently hand back something else."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise TypeError(f"the keys of {path} must be text, not {name!r}: JSON knows no others")
            _check_plain(inner, f"{path}[{name!r}]")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            _check_plain(inner, f"{path}[{place}]")
    elif value is not None and not isinstance(value, (str, bool, int, float)):
        raise TypeError(f"{path} must be what JSON can hold, not {value!r} ({type(value).__name__})")


def _number_in(resume: Union[None, str, "os.PathLike[str]"]) -> Optional[int]:
    """The number that an earlier run has left."""
    if resume is None:
        return None
    try:
        text = Path(resume).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    if not text.isdigit():
        raise SearchError(f"{os.fspath(resume)} has {text[:40]!r}, and should have the number of an experiment")
    return int(text)
