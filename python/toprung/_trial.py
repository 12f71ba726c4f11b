"""`trial()` and what it returns: the one object through which a script talks to Toprung."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, Mapping, NoReturn, Optional, Sequence, Tuple, Type

from ._errors import AgentUnavailable, ContractError, InvalidHyperparameters
from ._host import Decision, Host
from ._hyperparameters import Hyperparameters
from ._inside import agent
from ._metrics import numbers, whole
from ._standalone import PlainRun, command_line

Broadcast = Callable[[Any], Any]
"""Called on every rank with the chief's value (None elsewhere); returns the chief's value on every rank."""


def trial(
    defaults: Optional[Mapping[str, Any]] = None,
    *,
    max_length: Optional[int] = None,
    time_metric: str = "epochs",
    data: Optional[Mapping[str, Any]] = None,
    seed: int = 0,
    arguments: Optional[Sequence[str]] = None,
    broadcast: Optional[Broadcast] = None,
) -> Trial:
    """The trial this process runs; use it in a ``with`` block.

    All arguments but `broadcast` matter outside Toprung only, where they stand for the experiment file:

    * `defaults`: the hyperparameters (groups may be nested), overridden by the command line. Inside Toprung they are
      not used, so that a name missing in the experiment file is an error and not a silently constant value.
    * `max_length`, `time_metric`, `data`, `seed`: what the trial's properties of these names return.
    * `arguments`: read instead of the command line; ``[]`` leaves the command line to the script.

    `broadcast` is for scripts that run as several ranks: a function that hands the chief's value to all, such as one
    around ``torch.distributed.broadcast_object_list``. With it every rank leaves the loop at the same length.
    """
    inside = agent()
    if inside is not None:
        ours = Trial(inside, broadcast)
        if ours.is_chief:
            inside.attach()
        return ours
    words = command_line() if arguments is None else arguments
    longest = None if max_length is None else whole("max_length", max_length)
    return Trial(PlainRun(defaults, longest, time_metric, data, seed, words), broadcast)


class Trial:
    """One trial. Made by `toprung.trial()`; its methods may be called from several threads."""

    def __init__(self, host: Host, broadcast: Optional[Broadcast] = None) -> None:
        self._host = host
        self._broadcast = broadcast
        self._is_chief = _rank() == 0
        self._latest_checkpoint = host.identity.latest_checkpoint
        self._latest_length = host.identity.latest_length
        self._length = self._latest_length
        self._in_loop = False
        self._ending: Optional[Decision] = None
        self._said_invalid = False

    # What the trial is

    @property
    def inside(self) -> bool:
        """Whether Toprung runs this process."""
        return self._host.inside

    @property
    def hparams(self) -> Hyperparameters:
        """The hyperparameters: ``hparams["name"]``, ``hparams.name``, ``hparams.group.name``."""
        return self._host.identity.hparams

    @property
    def data(self) -> Hyperparameters:
        """The `data` of the experiment file."""
        return self._host.identity.data

    @property
    def id(self) -> int:
        """The trial's number in its experiment, from 1; 0 outside Toprung."""
        return self._host.identity.id

    @property
    def attempt(self) -> int:
        """Which execution of the trial this is, from 1."""
        return self._host.identity.attempt

    @property
    def seed(self) -> int:
        """A seed that stays the same in all attempts of the trial."""
        return self._host.identity.seed

    @property
    def time_metric(self) -> str:
        """What a length counts: ``epochs``, ``batches``, …"""
        return self._host.identity.time_metric

    @property
    def max_length(self) -> int:
        """The length at which the trial is trained in full."""
        return self._host.max_length()

    @property
    def scratch(self) -> Path:
        """A directory for temporary files of this attempt."""
        return self._host.scratch()

    @property
    def latest_checkpoint(self) -> Optional[Path]:
        """The directory of the newest checkpoint: the one to continue from, later the last one saved. Read only."""
        return self._latest_checkpoint

    @property
    def latest_length(self) -> int:
        """The length of the newest checkpoint, 0 without one."""
        return self._latest_length

    @property
    def length(self) -> int:
        """The length being trained in `lengths`, else the last finished one."""
        return self._length

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one of rank 0 (by ``RANK`` or the variables of MPI and Horovod).

        Reports and checkpoints of other ranks are dropped.
        """
        return self._is_chief

    # The loop

    def lengths(self, step: int = 1) -> Iterator[int]:
        """The lengths still to train, from the one after the checkpoint's.

        Before each it asks whether to go on, and ends when the trial is to pause, is stopped or is trained in full;
        `paused`, `stopped`, `finished` and `stop_reason` then say why. With `step` (for lengths in batches, say) only
        every so many lengths are yielded, and those at which the search wants a validation.
        """
        if whole("step", step) == 0:
            raise ValueError("step must be 1 or more")
        while True:
            decision = self._decide(self._length)
            if decision.action != "train":
                return
            self._length = self._following(self._length, step, decision.until)
            self._in_loop = True
            yield self._length

    epochs = lengths

    def __iter__(self) -> Iterator[int]:
        return self.lengths()

    def advance(self, length: int) -> bool:
        """For loops of your own: says that `length` is trained, returns whether to go on. Save before you ask."""
        self._length = whole("length", length)
        return self._decide(self._length).action == "train"

    def should_stop(self) -> bool:
        """Whether to save and end soon, even amid an epoch (its slots are needed, its machine is drained, …)."""
        status = self._agreed(self._host.status)
        if status.stop or status.preempt:
            self._ending = Decision("stop" if status.stop else "pause", None, status.reason)
        return bool(status.stop or status.preempt)

    @property
    def paused(self) -> bool:
        """Whether the trial was asked to pause. It may go on later, from its latest checkpoint."""
        return self._ending is not None and self._ending.action == "pause"

    @property
    def stopped(self) -> bool:
        """Whether the search stopped the trial."""
        return self._ending is not None and self._ending.action == "stop"

    @property
    def finished(self) -> bool:
        """Whether the trial is trained in full."""
        return self._ending is not None and self._ending.action == "finish"

    @property
    def stop_reason(self) -> str:
        """Why the trial was paused or stopped; empty otherwise."""
        return self._ending.reason if self._ending is not None else ""

    # What the trial hands over

    def report(
        self,
        metrics: Optional[Mapping[str, Any]] = None,
        /,
        *,
        length: Optional[int] = None,
        epochs: Optional[int] = None,
        batches: Optional[int] = None,
        records: Optional[int] = None,
        group: str = "validation",
        **values: Any,
    ) -> None:
        """Reports metrics of a validation: ``report(validation_error=0.1)`` or ``report({"validation/error": 0.1})``.

        They belong to the current length of `lengths` unless `length` (in the searcher's time metric) or one of
        `epochs`, `batches`, `records` is given. NumPy scalars and 0-d tensors are numbers too; NaN and infinities are
        kept and ranked last. The searcher's metric must be among those of a validation.
        """
        if group not in ("training", "validation"):
            raise ValueError(f"group must be 'training' or 'validation', not {group!r}")
        found = numbers({**(metrics or {}), **values})
        reached, unit = self._place(length, epochs, batches, records)
        if self._is_chief:
            self._host.report(group, reached, unit, found)

    def report_training(self, metrics: Optional[Mapping[str, Any]] = None, /, **values: Any) -> None:
        """Like `report`, for metrics of the training; they are kept and drawn, and decide nothing."""
        self.report(metrics, group="training", **values)

    @contextlib.contextmanager
    def save(
        self,
        *,
        length: Optional[int] = None,
        epochs: Optional[int] = None,
        batches: Optional[int] = None,
        records: Optional[int] = None,
    ) -> Iterator[Path]:
        """``with trial.save() as directory:`` write the checkpoint's files into `directory`.

        It becomes a checkpoint, durable and renamed, when the block ends, and is dropped if the block raises. Its
        length is given as in `report`. On other ranks than the chief the directory is a temporary one.
        """
        reached, unit = self._place(length, epochs, batches, records)
        if not self._is_chief:
            with tempfile.TemporaryDirectory(prefix="toprung-") as dropped:
                yield Path(dropped)
            return
        directory = self._host.begin_checkpoint()
        try:
            yield directory
            path = self._host.complete_checkpoint(directory, reached, unit)
        except AgentUnavailable:
            # The agent may be at work in there; it removes what stays incomplete.
            raise
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        self._latest_checkpoint = path
        if unit is None or unit == self.time_metric:
            self._latest_length = reached

    def progress(self, fraction: float) -> None:
        """Tells how much of the way to the next report is done, from 0 to 1."""
        if not 0 <= fraction <= 1:
            raise ValueError(f"progress goes from 0 to 1, not {fraction}")
        if self._is_chief:
            self._host.progress(float(fraction))

    def invalid_hyperparameters(self, reason: str) -> NoReturn:
        """Ends the trial because it cannot be trained with these hyperparameters; the search tries others instead."""
        self._say_invalid(str(reason))
        raise InvalidHyperparameters(reason)

    # The with block

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            if isinstance(error, InvalidHyperparameters):
                self._say_invalid(str(error))
        finally:
            self._host.close()

    def __repr__(self) -> str:
        return f"<toprung.Trial {self.id}, attempt {self.attempt}, at {self.length} {self.time_metric}>"

    # Inner workings

    def _say_invalid(self, reason: str) -> None:
        if not self._said_invalid:
            self._host.invalid_hyperparameters(reason)
            self._said_invalid = True

    def _decide(self, length: int) -> Decision:
        if self._ending is not None:
            return self._ending
        decision: Decision = self._agreed(lambda: self._host.next(length))
        if decision.action != "train":
            self._ending = decision
        return decision

    def _agreed(self, ask: Callable[[], Any]) -> Any:
        """The chief's answer, the same on all ranks: ranks that left the loop at different lengths would hang."""
        if self._broadcast is not None:
            return self._broadcast(ask() if self._is_chief else None)
        if not self._is_chief:
            raise ContractError(
                "only the chief (rank 0) may ask whether to go on; pass toprung.trial(broadcast=...) a function that "
                "hands the chief's value to all ranks"
            )
        return ask()

    def _following(self, length: int, step: int, until: Optional[int]) -> int:
        if step == 1:
            return length + 1
        wanted = until if until is not None and until > length else length + step
        return min(length + step, wanted, max(self.max_length, length + 1))

    def _place(
        self, length: Optional[int], epochs: Optional[int], batches: Optional[int], records: Optional[int]
    ) -> Tuple[int, Optional[str]]:
        """Where a report or checkpoint belongs: a length and its unit (None: the searcher's time metric)."""
        places: Dict[Optional[str], Any] = {None: length, "epochs": epochs, "batches": batches, "records": records}
        given = [(unit, value) for unit, value in places.items() if value is not None]
        if len(given) > 1:
            raise ValueError("give only one of length, epochs, batches and records")
        if given:
            unit, value = given[0]
            return whole(unit or "length", value), unit
        if not self._in_loop:
            raise ValueError("which length is this? Call it in `for epoch in trial.lengths()`, or give length=")
        return self._length, None


def _rank() -> int:
    for name in ("RANK", "OMPI_COMM_WORLD_RANK", "HOROVOD_RANK"):
        value = os.environ.get(name, "")
        if value.isdigit():
            return int(value)
    return 0
