"""What a `Trial` needs from its surroundings. `_inside` (an agent) and `_standalone` (a plain run) provide it."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, NamedTuple, Optional, Protocol

from ._hyperparameters import Hyperparameters


class Decision(NamedTuple):
    """The answer to "may I go on?". `action` is ``train``, ``pause``, ``stop`` or ``finish``."""

    action: str
    until: Optional[int] = None
    reason: str = ""


class Status(NamedTuple):
    """What is wanted of the trial right now: `preempt` (save and pause), `stop`, and why."""

    preempt: bool = False
    stop: bool = False
    reason: str = ""


class Identity(NamedTuple):
    """The facts that stay the same for a whole attempt."""

    id: int
    attempt: int
    seed: int
    hparams: Hyperparameters
    data: Hyperparameters
    time_metric: str
    latest_checkpoint: Optional[Path]
    latest_length: int


class Host(Protocol):
    """The surroundings of a trial. A `unit` of None means the searcher's time metric."""

    inside: bool
    identity: Identity

    def max_length(self) -> int:
        """The length at which the trial is trained in full."""

    def scratch(self) -> Path:
        """A directory for temporary files."""

    def report(self, group: str, length: int, unit: Optional[str], metrics: Dict[str, float]) -> None:
        """Hands over the metrics of a length."""

    def begin_checkpoint(self) -> Path:
        """A new empty directory to write a checkpoint into."""

    def complete_checkpoint(self, directory: Path, length: int, unit: Optional[str]) -> Path:
        """Makes what was written a checkpoint; the directory's final path."""

    def next(self, length: int) -> Decision:
        """Waits for the decision after `length`."""

    def status(self) -> Status:
        """What is wanted right now, without waiting."""

    def invalid_hyperparameters(self, reason: str) -> None:
        """Says that these hyperparameters cannot be trained."""

    def progress(self, fraction: float) -> None:
        """Says how much of the work until the next report is done."""

    def close(self) -> None:
        """Closes what is open; a later request opens it again."""
