"""Hyperparameters: a dictionary whose entries are attributes too, with groups nested in it."""

from __future__ import annotations

import copy
import difflib
from typing import Any, Dict, Iterable, Mapping


def nearest(name: str, known: Iterable[str]) -> str:
    """A phrase that helps after a wrong name: the nearest known one, and all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return hint + ("known: " + ", ".join(names) if names else "none is known")


class Hyperparameters(Dict[str, Any]):
    """``h["learning_rate"]`` and ``h.learning_rate``; for groups ``h.optimizer.name`` and ``h["optimizer.name"]``.

    A plain ``dict`` otherwise: ``**h``, ``json.dumps(h)`` and ``h.get("momentum", 0.0)`` work. A name that is also a
    method of ``dict`` (``items``, ``values``, …) is reached by ``h["items"]`` only.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({name: _wrap(value) for name, value in values.items()})

    def __missing__(self, name: str) -> Any:
        group, dot, rest = name.partition(".")
        if dot and isinstance(self.get(group), Hyperparameters):
            return self[group][rest]
        raise KeyError(f"no hyperparameter {name!r}; {nearest(name, self)}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __copy__(self) -> Hyperparameters:
        return Hyperparameters(self)

    def __deepcopy__(self, memo: Any) -> Hyperparameters:
        return Hyperparameters(copy.deepcopy(_unwrap(self), memo))

    def __reduce__(self) -> Any:
        # A pickled checkpoint may hold hyperparameters and must load where this package is absent.
        return (dict, (_unwrap(self),))


def _wrap(value: Any) -> Any:
    return Hyperparameters(value) if isinstance(value, Mapping) else value


def _unwrap(value: Any) -> Any:
    return {name: _unwrap(item) for name, item in value.items()} if isinstance(value, dict) else value
