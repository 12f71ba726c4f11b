"""The surroundings of a plain run: reports are printed, checkpoints go below ``./checkpoints/``."""

from __future__ import annotations

import re
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from ._command_line import settings
from ._host import Decision, Identity, Status
from ._hyperparameters import Hyperparameters


class PlainRun:
    """A script run by hand. It trains until its maximum length and is never asked to stop."""

    inside = False

    def __init__(
        self,
        defaults: Optional[Mapping[str, Any]],
        max_length: Optional[int],
        time_metric: str,
        data: Optional[Mapping[str, Any]],
        seed: int,
        arguments: Sequence[str],
    ) -> None:
        given = settings(defaults, arguments)
        latest = Path(given.resume).absolute() if given.resume else None
        self.identity = Identity(
            id=0,
            attempt=1,
            seed=seed if given.seed is None else given.seed,
            hparams=Hyperparameters(given.hparams),
            data=Hyperparameters(data or {}),
            time_metric=time_metric,
            latest_checkpoint=latest,
            latest_length=_length_of(latest) if latest else 0,
        )
        self._max_length = max_length if given.max_length is None else given.max_length
        self._scratch: Optional[tempfile.TemporaryDirectory[str]] = None
        self._checkpoints: Optional[Path] = None

    def max_length(self) -> int:
        if self._max_length is None:
            self._max_length = 1
            unit = singular(self.identity.time_metric)
            _hint(f"no maximum length is given, so this run ends after 1 {unit}; --max-length 10 trains longer")
        return self._max_length

    def scratch(self) -> Path:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="toprung-scratch-")
        return Path(self._scratch.name)

    def report(self, group: str, length: int, unit: Optional[str], metrics: Dict[str, float]) -> None:
        name = singular(unit or self.identity.time_metric)
        print(f"{name}={length}", *(f"{metric}={value:.6g}" for metric, value in metrics.items()), flush=True)

    def begin_checkpoint(self) -> Path:
        if self._checkpoints is None:
            self._checkpoints = _new_run(Path("checkpoints").absolute())
            _hint(f"checkpoints go to {self._checkpoints}")
        directory = self._checkpoints / f"incomplete-{secrets.token_hex(8)}"
        directory.mkdir()
        return directory

    def complete_checkpoint(self, directory: Path, length: int, unit: Optional[str]) -> Path:
        name = f"{singular(unit or self.identity.time_metric)}-{length}"
        taken = directory.with_name(name)
        if taken.exists():
            # Saved twice at one length in this run: the newer one counts, the older stays beside it.
            taken.rename(directory.with_name(f"{name}-before-{secrets.token_hex(4)}"))
        return directory.rename(taken)

    def next(self, length: int) -> Decision:
        until = self.max_length()
        return Decision("train", until) if length < until else Decision("finish")

    def status(self) -> Status:
        return Status()

    def invalid_hyperparameters(self, reason: str) -> None:
        _hint(f"invalid hyperparameters: {reason}")

    def progress(self, fraction: float) -> None:
        """Nobody waits for it in a plain run."""

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


def singular(unit: str) -> str:
    """``epochs`` → ``epoch``, ``batches`` → ``batch``."""
    return re.sub(r"(?<=ch)es$|s$", "", unit) or unit


def command_line() -> Sequence[str]:
    """The script's arguments; none in a notebook or an interpreter, whose command line is its own."""
    main = sys.modules.get("__main__")
    return sys.argv[1:] if getattr(main, "__file__", None) else ()


def _length_of(checkpoint: Path) -> int:
    length = re.search(r"-(\d+)$", checkpoint.name)
    if length is None or not checkpoint.is_dir():
        raise SystemExit(f"--resume needs a checkpoint directory such as checkpoints/run-1/epoch-3, not {checkpoint}")
    return int(length.group(1))


def _new_run(parent: Path) -> Path:
    """A new directory ``run-N``, so that no run overwrites what another one saved."""
    try:
        parent.mkdir(exist_ok=True)
        number = 1 + max((int(path.name[4:]) for path in parent.glob("run-*") if path.name[4:].isdigit()), default=0)
        while True:
            try:
                directory = parent / f"run-{number}"
                directory.mkdir()
                return directory
            except FileExistsError:
                number += 1
    except OSError as error:
        _hint(f"cannot write to {parent} ({error})")
        return Path(tempfile.mkdtemp(prefix="toprung-checkpoints-"))


def _hint(text: str) -> None:
    print(f"toprung: {text}", file=sys.stderr, flush=True)
