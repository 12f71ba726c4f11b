"""An agent for tests: a thread that answers the trial contract on a Unix socket and keeps what it was asked."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

Message = Dict[str, Any]
Answer = Optional[Message]


class FakeAgent:
    """Trains every trial to the end, unless `answers` maps a request's type to another answer.

    An answer of None cuts the connection, one of "silence" never comes.
    """

    def __init__(self, max_length: int = 3, hparams: Optional[Message] = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="toprung-test-"))
        self.checkpoints = self.root / "checkpoints"
        self.checkpoints.mkdir()
        self.requests: List[Message] = []
        self.connections = 0
        self.answers: Dict[str, Callable[[Message], Any]] = {}
        self.max_length = max_length
        self.hparams = {"learning_rate": 0.1} if hparams is None else hparams
        self._lock = threading.Lock()
        self._open: List[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.root / "socket"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> FakeAgent:
        return self

    def __exit__(self, *_: Any) -> None:
        with self._lock:
            for connection in [*self._open, self._listener]:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # already closed by the other side
                connection.close()
        shutil.rmtree(self.root)

    def environment(self, **more: str) -> Dict[str, str]:
        return {
            "TOPRUNG_SOCKET": str(self.root / "socket"),
            "TOPRUNG_HPARAMS": json.dumps(self.hparams),
            "TOPRUNG_TRIAL_ID": "7",
            "TOPRUNG_ATTEMPT": "2",
            "TOPRUNG_TRIAL_SEED": "42",
            "TOPRUNG_CHECKPOINT_DIR": str(self.checkpoints),
            "TOPRUNG_SCRATCH_DIR": str(self.root),
            "TOPRUNG_MAX_LENGTH": str(self.max_length),
            "TOPRUNG_TRAIN_UNTIL": "1",
            "TOPRUNG_TIME_METRIC": "epochs",
            "TOPRUNG_METRIC": "validation_error",
            "TOPRUNG_DATA": '{"path": "/data"}',
            **more,
        }

    def asked(self, *types: str) -> List[Message]:
        """The requests of these types, in the order they came."""
        with self._lock:
            return [request for request in self.requests if request["type"] in types]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rwb") as stream:
                for line in stream:
                    message = json.loads(line)
                    with self._lock:
                        self.requests.append(message)
                    answer = self.answers.get(message["type"], self._answer)(message)
                    if answer is None:
                        return
                    if answer != "silence":
                        stream.write(json.dumps(answer).encode() + b"\n")
                        stream.flush()
        except OSError:
            pass  # the script went away, as scripts do

    def _answer(self, message: Message) -> Message:
        if message["type"] == "next":
            if message["length"] >= self.max_length:
                return {"action": "finish"}
            return {"action": "train", "until": self.max_length}
        if message["type"] == "status":
            return {"preempt": False, "stop": False, "reason": ""}
        if message["type"] == "checkpoint":
            final = self.checkpoints / f"uuid-{message['length']}"
            shutil.rmtree(final, ignore_errors=True)  # of an earlier attempt
            os.rename(self.checkpoints / message["directory"], final)
            return {"ok": True, "uuid": final.name, "path": str(final)}
        return {"ok": True}
