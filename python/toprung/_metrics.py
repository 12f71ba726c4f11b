"""Turns what training code calls a number (NumPy scalars, 0-d tensors, …) into what the contract carries."""

from __future__ import annotations

import math
import operator
from typing import Any, Dict, Mapping, Union


def numbers(metrics: Mapping[str, Any]) -> Dict[str, float]:
    """The metrics as floats. ``TypeError`` names the metric whose value is no number."""
    if not metrics:
        raise ValueError("a report needs at least one metric, as in trial.report(validation_error=0.1)")
    for name in metrics:
        if not isinstance(name, str) or not name:
            raise TypeError(f"a metric's name must be a non-empty string, not {name!r}")
    return {name: _number(name, value) for name, value in metrics.items()}


def encoded(value: float) -> Union[float, str]:
    """A float as JSON can carry it: NaN and the infinities become strings."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def whole(what: str, value: Any) -> int:
    """A non-negative integer, also from NumPy; anything else is an error that names `what`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, not {value!r} ({_kind(value)})") from None
    if number < 0:
        raise ValueError(f"{what} must be 0 or more, not {number}")
    return number


def _number(name: str, value: Any) -> float:
    # float("0.5") and float(True) would succeed and hide a mistake, hence the explicit refusals.
    if isinstance(value, (bool, str, bytes, bytearray)) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool"):
        raise TypeError(f"metric {name!r} must be a number, not {value!r} ({_kind(value)})")
    if getattr(value, "ndim", 0):
        shape = tuple(getattr(value, "shape", ()))
        raise TypeError(f"metric {name!r} must be a single number, not an array of shape {shape}; reduce it first")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"metric {name!r} must be a number, not {value!r} ({_kind(value)})") from None


def _kind(value: Any) -> str:
    return type(value).__name__
