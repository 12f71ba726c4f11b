"""A connection to the agent: one JSON line out, one JSON line back, with a deadline for every exchange.

A connection that breaks is opened again and the request sent once more, so that an agent may restart. Requests are safe
to repeat: the search counts a report once per trial and rung. One request is under way per connection; threads take
turns. A forked child opens a connection of its own.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from typing import Any, Dict, Optional

from ._errors import AgentUnavailable, ContractError
from ._version import VERSION

DEADLINE = 60.0
"""Seconds for an ordinary exchange, connecting included."""

_PAUSE = 0.1
_LONGEST_ANSWER = 1 << 20
_MAY_RECOVER = (ConnectionError, FileNotFoundError, BlockingIOError)


class Connection:
    """A connection to the socket at `path`, opened by the first request."""

    def __init__(self, path: str, deadline: float = DEADLINE) -> None:
        self._path = path
        self._deadline = deadline
        self._socket: Optional[socket.socket] = None
        self._rest = b""
        self._lock = threading.Lock()
        self._process = os.getpid()

    def request(self, message: Dict[str, Any], deadline: Optional[float] = None) -> Dict[str, Any]:
        """Sends `message` and returns the agent's answer; `AgentUnavailable` after `deadline` seconds."""
        if self._process != os.getpid():
            # A lock copied by fork may be held for ever; closing the copied socket leaves the parent's open.
            self._lock, self._process = threading.Lock(), os.getpid()
            self._disconnect()
        seconds = self._deadline if deadline is None else deadline
        with self._lock:
            try:
                return self._persist(message, seconds)
            except socket.timeout:
                self._disconnect()
                raise AgentUnavailable(
                    f"the agent did not answer the request {message.get('type')!r} within {seconds:g} s "
                    f"(socket {self._path}); see the agent's log"
                ) from None
            except _MAY_RECOVER as error:
                self._disconnect()
                tried = min(seconds, self._deadline)
                raise AgentUnavailable(
                    f"the agent could not be reached for {tried:g} s (socket {self._path}): {error}"
                ) from error
            except OSError as error:
                self._disconnect()
                raise AgentUnavailable(f"the agent cannot be reached (socket {self._path}): {error}") from error
            except BaseException:
                # An exchange cut off half-way (say, by Ctrl-C) would leave its answer to the next request.
                self._disconnect()
                raise

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            self._disconnect()

    def __del__(self) -> None:
        # For scripts that use no `with` block.
        self._disconnect()

    def _persist(self, message: Dict[str, Any], seconds: float) -> Dict[str, Any]:
        # An answer may be long in coming (`seconds`); an agent that hangs up must be back sooner.
        give_up = time.monotonic() + seconds
        back_by = time.monotonic() + min(seconds, self._deadline)
        while True:
            try:
                if self._socket is None:
                    self._connect(give_up)
                return self._exchange(message, give_up)
            except _MAY_RECOVER:
                self._disconnect()
                if time.monotonic() + _PAUSE >= back_by:
                    raise
                time.sleep(_PAUSE)

    def _connect(self, give_up: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(max(give_up - time.monotonic(), 0.001))
        self._socket.connect(self._path)
        answer = self._exchange({"type": "hello", "sdk": "python", "version": VERSION}, give_up)
        if answer.get("ok") is False:
            raise ContractError(f"the agent refused this version of the package, {VERSION}: {answer.get('error')}")

    def _exchange(self, message: Dict[str, Any], give_up: float) -> Dict[str, Any]:
        assert self._socket is not None
        self._socket.settimeout(max(give_up - time.monotonic(), 0.001))
        self._socket.sendall(json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        line = self._line(self._socket, give_up)
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ContractError(f"the agent's answer is no JSON object: {line[:200]!r}")
        return answer

    def _line(self, connection: socket.socket, give_up: float) -> bytes:
        while b"\n" not in self._rest:
            connection.settimeout(max(give_up - time.monotonic(), 0.001))
            received = connection.recv(65536)
            if not received:
                raise ConnectionResetError("the agent closed the connection")
            self._rest += received
            if len(self._rest) > _LONGEST_ANSWER:
                raise ContractError("the agent's answer is longer than 1 MiB")
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _disconnect(self) -> None:
        self._rest = b""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
