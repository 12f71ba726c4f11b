"""The surroundings inside Toprung: environment variables set by the agent, and its socket."""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from ._errors import ContractError
from ._host import Decision, Identity, Status
from ._hyperparameters import Hyperparameters
from ._metrics import encoded
from ._socket import Connection

_CHECKPOINT_DEADLINE = 600.0
"""Seconds for the agent to make a checkpoint durable; large ones take their time."""

_SHORTEST_WAIT = 0.1


class Agent:
    """A trial's agent. Decisions have a connection of their own, so that waiting for one delays no report."""

    inside = True

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.identity = Identity(
            id=self._whole("TOPRUNG_TRIAL_ID"),
            attempt=self._whole("TOPRUNG_ATTEMPT"),
            seed=self._whole("TOPRUNG_TRIAL_SEED"),
            hparams=self._hparams(),
            data=self._object("TOPRUNG_DATA", environment.get("TOPRUNG_DATA") or "{}"),
            time_metric=environment.get("TOPRUNG_TIME_METRIC") or "epochs",
            latest_checkpoint=_path(environment.get("TOPRUNG_LATEST_CHECKPOINT")),
            latest_length=self._latest_length(),
        )
        self._requests = Connection(self._required("TOPRUNG_SOCKET"))
        self._decisions = Connection(self._required("TOPRUNG_SOCKET"))

    def attach(self) -> None:
        """Says hello, so that the agent knows at once that this attempt answers pause and stop by itself."""
        self.status()

    def max_length(self) -> int:
        return self._whole("TOPRUNG_MAX_LENGTH")

    def scratch(self) -> Path:
        return Path(self._required("TOPRUNG_SCRATCH_DIR"))

    def report(self, group: str, length: int, unit: Optional[str], metrics: Dict[str, float]) -> None:
        values = {name: encoded(value) for name, value in metrics.items()}
        self._ask({"type": "report", "group": group, "length": length, "unit": unit, "metrics": values})

    def begin_checkpoint(self) -> Path:
        # With the attempt's number: an older attempt that ends late must not take it for its own.
        name = f"incomplete-{self._required('TOPRUNG_ATTEMPT')}-{secrets.token_hex(8)}"
        directory = Path(self._required("TOPRUNG_CHECKPOINT_DIR")) / name
        directory.mkdir(parents=True)
        return directory

    def complete_checkpoint(self, directory: Path, length: int, unit: Optional[str]) -> Path:
        message = {"type": "checkpoint", "length": length, "unit": unit, "directory": directory.name}
        answer = self._ask(message, _CHECKPOINT_DEADLINE)
        path = answer.get("path")
        if not isinstance(path, str):
            raise ContractError(f"the agent's answer to a checkpoint lacks its path: {answer}")
        return Path(path)

    def next(self, length: int) -> Decision:
        while True:
            asked = time.monotonic()
            answer = self._ask({"type": "next", "length": length}, connection=self._decisions)
            action = answer.get("action")
            if action in ("train", "pause", "stop", "finish"):
                return Decision(action, answer.get("until"), str(answer.get("reason") or ""))
            if action != "wait":
                raise ContractError(f"the agent's answer to 'next' has an unknown action: {answer}")
            time.sleep(max(0.0, _SHORTEST_WAIT - (time.monotonic() - asked)))

    def status(self) -> Status:
        answer = self._ask({"type": "status"})
        return Status(bool(answer.get("preempt")), bool(answer.get("stop")), str(answer.get("reason") or ""))

    def invalid_hyperparameters(self, reason: str) -> None:
        self._ask({"type": "invalid_hyperparameters", "reason": reason})

    def progress(self, fraction: float) -> None:
        self._ask({"type": "progress", "fraction": fraction})

    def close(self) -> None:
        self._requests.close()
        self._decisions.close()

    def _ask(
        self, message: Dict[str, Any], deadline: Optional[float] = None, connection: Optional[Connection] = None
    ) -> Dict[str, Any]:
        answer = (connection or self._requests).request(message, deadline)
        if answer.get("ok") is False:
            raise ContractError(f"the agent refused the request {message['type']!r}: {answer.get('error')}")
        return answer

    def _required(self, name: str) -> str:
        value = self._environment.get(name)
        if not value:
            raise ContractError(f"TOPRUNG_SOCKET is set but {name} is not; start the script by `toprung run`")
        return value

    def _whole(self, name: str) -> int:
        value = self._required(name)
        if not (value.isascii() and value.isdigit()):
            raise ContractError(f"{name} must be a whole number, not {value!r}")
        return int(value)

    def _latest_length(self) -> int:
        return self._whole("TOPRUNG_LATEST_LENGTH") if self._environment.get("TOPRUNG_LATEST_CHECKPOINT") else 0

    def _hparams(self) -> Hyperparameters:
        text = self._environment.get("TOPRUNG_HPARAMS")
        if not text:
            text = Path(self._required("TOPRUNG_HPARAMS_FILE")).read_text(encoding="utf-8")
        return self._object("TOPRUNG_HPARAMS", text)

    @staticmethod
    def _object(name: str, text: str) -> Hyperparameters:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ContractError(f"{name} holds no JSON: {error}") from None
        if not isinstance(value, dict):
            raise ContractError(f"{name} must hold a JSON object")
        return Hyperparameters(value)


def _path(text: Optional[str]) -> Optional[Path]:
    return Path(text) if text else None


def agent() -> Optional[Agent]:
    """The agent that runs this process, if one does."""
    return Agent(os.environ.copy()) if os.environ.get("TOPRUNG_SOCKET") else None
