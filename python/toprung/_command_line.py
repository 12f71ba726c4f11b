"""The command line of a script that runs without Toprung: ``--learning_rate 0.1``, ``optimizer.name=sgd``, …

A value is read as the kind of its default: a string stays a string, anything else is read as JSON, a number for a
number and so on. Hyphens and underscores in names are the same.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ._hyperparameters import nearest

_OPTIONS = {"max_length": 1, "seed": 0, "resume": ""}
"""What can be set beside hyperparameters; a hyperparameter of the same name goes first."""

_HELP = {
    "max_length": "train up to this length",
    "seed": "the seed of the trial",
    "resume": "a checkpoint directory to go on from, such as checkpoints/run-1/epoch-3",
}


class Settings(NamedTuple):
    """What the command line says. None means: not set there."""

    hparams: Dict[str, Any]
    max_length: Optional[int]
    seed: Optional[int]
    resume: Optional[str]


def settings(defaults: Optional[Mapping[str, Any]], arguments: Sequence[str]) -> Settings:
    """Reads `arguments`. Without `defaults` any ``name=value`` is a hyperparameter, the rest is left to the script."""
    known = dict(_flat(defaults or {}))
    if defaults is not None and any(argument in ("-h", "--help") for argument in arguments):
        print(_usage(known))
        raise SystemExit(0)
    chosen: Dict[str, Any] = dict(known)
    options: Dict[str, Any] = {}
    for written, text in _pairs(arguments, strict=defaults is not None):
        name = _spelling(written, known)
        if name in known:
            chosen[name] = _value(written, text, known[name])
        elif name in _OPTIONS:
            options[name] = _value(written, text, _OPTIONS[name])
        elif defaults is None:
            chosen[name] = _json(text)
        else:
            raise SystemExit(f"unknown hyperparameter {written!r}; {nearest(name, [*known, *_OPTIONS])}")
    for name in ("max_length", "seed"):
        if not isinstance(options.get(name, 0), int) or options.get(name, 0) < 0:
            raise SystemExit(f"{name} must be a whole number of 0 or more, not {options[name]}")
    return Settings(_nested(chosen), options.get("max_length"), options.get("seed"), options.get("resume"))


def _pairs(arguments: Sequence[str], strict: bool) -> Iterator[Tuple[str, str]]:
    rest: List[str] = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, text = argument.partition("=")
        if equals and name.lstrip("-"):
            yield name.lstrip("-"), text
        elif argument.startswith("--") and rest and not rest[0].startswith("--"):
            yield argument[2:], rest.pop(0)
        elif strict:
            raise SystemExit(f"cannot read the argument {argument!r}; write --name value or name=value")


def _spelling(written: str, known: Mapping[str, Any]) -> str:
    """The known name that `written` means, else `written` with underscores."""
    plain = written.replace("-", "_")
    same = [name for name in known if name == written or name.replace("-", "_") == plain]
    return same[0] if same else plain


def _value(name: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        return text
    value = _json(text)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise SystemExit(f"{name} must be true or false, not {text!r}")
    elif isinstance(default, (int, float)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise SystemExit(f"{name} must be a number, not {text!r}")
        return float(value) if isinstance(default, float) else value
    return value


def _json(text: str) -> Any:
    words = {"true": True, "yes": True, "false": False, "no": False}
    if text.lower() in words:
        return words[text.lower()]
    for read in (json.loads, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[Tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _nested(values: Mapping[str, Any]) -> Dict[str, Any]:
    top: Dict[str, Any] = {}
    for path, value in values.items():
        *groups, name = path.split(".")
        place = top
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return top


def _usage(known: Mapping[str, Any]) -> str:
    options = [f"  --{name.replace('_', '-')}: {text}" for name, text in _HELP.items() if name not in known]
    hparams = [f"  --{name} {default}" for name, default in known.items()]
    return "\n".join(["hyperparameters, as --name value or name=value:", *hparams, "and:", *options])
