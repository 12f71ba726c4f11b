"""A `toprung` process beside this program, spoken to by JSON lines: requests with answers, and lines that come unasked."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

_CLOSE = 30.0


class SearchError(RuntimeError):
    """The engine refused something, or `toprung` could not be run; the message holds its words."""

    over = False
    """It was refused because the search has ended, or is about to."""


class Beside:
    """`toprung COMMAND …`, until `close`.

    * `arguments`: the command and what follows it.
    * `unasked`: is given each line that answers no request, in the thread that reads; None: no more come.
    * `again`: what to do when the process has ended, for messages.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        unasked: Callable[[Optional[Mapping[str, Any]]], None],
        *,
        again: str,
        binary: Optional[str] = None,
        close_after: float = _CLOSE,
    ) -> None:
        found = binary or os.environ.get("TOPRUNG_BINARY") or shutil.which("toprung")
        if not found:
            raise SearchError("the program `toprung` is not on the PATH; name it with TOPRUNG_BINARY or binary=")
        self._command = arguments[0]
        self._unasked = unasked
        self._again = again
        self._close_after = close_after
        self._lock = threading.Lock()
        self._number = 0
        self._answers: Dict[int, "queue.Queue[Optional[Dict[str, Any]]]"] = {}
        self._begun: "queue.Queue[Optional[Dict[str, Any]]]" = queue.Queue(1)
        self._process = subprocess.Popen(
            [found, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, encoding="utf-8"
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        begun = self._begun.get()
        if begun is None:
            raise SearchError(f"`toprung {self._command}` ended with {self._process.wait()}; its words are above")
        self.begun = begun
        """Its first line."""

    def request(self, line: Mapping[str, Any]) -> Dict[str, Any]:
        """Sends a line and waits for its answer. `SearchError`: it was refused, or the process has ended."""
        answer: "queue.Queue[Optional[Dict[str, Any]]]" = queue.Queue(1)
        with self._lock:
            self._number += 1
            number = self._number
            self._answers[number] = answer
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps({"id": number, **line}) + "\n")
                written = True
            except (OSError, ValueError):
                written = False
        if not written:
            # It has ended: its last words are read before that is told.
            self._reader.join(_CLOSE)
        if not written or not self._reader.is_alive():
            self._give_up()
        found = answer.get()
        with self._lock:
            self._answers.pop(number, None)
        if found is None:
            raise SearchError(f"`toprung {self._command}` has ended; {self._again}")
        if "error" in found:
            error = SearchError(found["error"])
            error.over = bool(found.get("over"))
            raise error
        return found

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(self._close_after)
        except subprocess.TimeoutExpired:
            self._process.terminate()
        self._reader.join(self._close_after)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            if "experiment" in line and "id" not in line:
                self._begun.put(line)
            elif "id" in line:
                with self._lock:
                    answer = self._answers.get(line["id"])
                if answer is not None:
                    answer.put(line)
            else:
                self._unasked(line)
        if self._begun.empty():
            self._begun.put(None)
        self._give_up()
        self._unasked(None)

    def _give_up(self) -> None:
        with self._lock:
            waiting = list(self._answers.values())
        for answer in waiting:
            try:
                answer.put_nowait(None)
            except queue.Full:
                pass
