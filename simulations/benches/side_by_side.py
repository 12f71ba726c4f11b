#!/usr/bin/env python3
"""Compares Toprung with optuna, rustuna and syne-tune on the same workloads, in one run on one machine.

    python3 simulations/benches/side_by_side.py [--dir DIR] [--limit SECONDS] [--json FILE]

Virtual environments are made below DIR (target/side_by_side) and used again. Each side is a process of its own that measures
its own processor time; one size of one workload may take --limit seconds (60), and a side that took longer is not asked
for larger sizes. Only versions below are installed, from PyPI; ours is built by cargo.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

# What a user would take instead, with the Python that it needs.
OTHERS: List[Tuple[str, str, Tuple[int, int]]] = [
    ("optuna", "optuna==5.0.0", (3, 9)),
    ("rustuna", "rustuna==0.2.0", (3, 11)),
    # Its simulator imports huggingface_hub and fastparquet, which its own extra brings together with torch.
    ("syne-tune", "syne-tune==0.16.0 huggingface-hub==1.0.0 fastparquet==2026.9.0", (3, 9)),
]

WORKLOADS: List[Tuple[str, str]] = [
    ("random", "random search, 4 floats: one suggestion with its report"),
    ("tpe", "TPE, 5 floats: one suggestion with its report, after so many trials"),
    ("asha", "ASHA by stopping: one report to a rung of so many trials, with its decision"),
    ("simulation", "a simulated ASHA search, 100 workers, 27 lengths: per trial"),
]

NOT_COMPARABLE = """What is not compared, and what the sides do not have in common:
* Ours is called from Rust, the others from Python: that is how each is used. Part of a ratio is the language.
* optuna and rustuna keep every trial in a storage (here in memory) with its times and attributes. Ours keeps what
  the searcher needs; the engine's store is measured by `toprung bench`.
* rustuna 0.2.0 has no pruners (no class or method of its interface reports intermediate values): no ASHA, no simulation.
* optuna has no simulator: its column is empty there.
* syne-tune has no TPE; its nearest relatives (kernel density estimation, BORE) are other methods and were not timed.
* syne-tune 0.16.0 has ASHA by stopping alone, so its simulation stops where ours (promotion) pauses. Its curves come from a
  function of four floats as ours do, all 27 lengths at once.
* optuna's SuccessiveHalvingPruner is the stopping rule with a decision of its own at each rung; like ours it was given
  trials that report at the lowest rung. Trials of its workload and of ours have no hyperparameters; syne-tune's have four
  floats, whose drawing is in its figure (see the first row for how much that is)."""


class Problem(Exception):
    """Something that a person has to mend."""


def run(command: List[str], why: str) -> None:
    """Runs a command, or says what it was for."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        last = "\n".join(done.stdout.strip().splitlines()[-5:])
        raise Problem(f"{why} failed: {' '.join(command)}\n{last}")


def environment(folder: Path, name: str, requirement: str) -> Path:
    """The Python of a virtual environment with these packages in it."""
    home = folder / name
    python = home / "bin" / "python"
    stamp = home / "installed"
    if stamp.is_file() and stamp.read_text() == requirement:
        return python
    print(f"installing {requirement} …", file=sys.stderr)
    run([sys.executable, "-m", "venv", "--clear", str(home)], "making a virtual environment")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(install + requirement.split(), f"installing {requirement} (it needs PyPI: is there a network?)")
    stamp.write_text(requirement)
    return python


def ours() -> Dict[str, Dict[int, float]]:
    """Our figures: seconds by workload and size."""
    print("building ours …", file=sys.stderr)
    cargo = ["cargo", "build", "--release", "-p", "toprung-simulations", "--example", "side_by_side"]
    done = subprocess.run(cargo, cwd=REPOSITORY)
    if done.returncode != 0:
        raise Problem("ours does not build, see above")
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    print("measuring ours …", file=sys.stderr)
    binary = target / "release" / "examples" / "side_by_side"
    found = json.loads(subprocess.run([str(binary)], check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {workload: {row["n"]: row["seconds"] for row in rows} for workload, rows in found.items()}


def theirs(python: Path, name: str, limit: float) -> Dict[str, Dict[int, float]]:
    """Another's figures, as far as it got."""
    print(f"measuring {name} …", file=sys.stderr)
    script = HERE / "side_by_side" / f"{name.replace('-', '_')}_side.py"
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "SYNETUNE_FOLDER": str(python.parent.parent)}
    # What was printed before the end counts.
    process = subprocess.Popen(
        [str(python), str(script), str(limit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **single},
    )
    try:
        out, errors = process.communicate(timeout=3 * limit + 60)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        errors += f"\n{name} was ended after {3 * limit + 60:.0f} s"
    if process.returncode != 0:
        print("\n".join(errors.strip().splitlines()[-5:]), file=sys.stderr)
    found: Dict[str, Dict[int, float]] = {}
    for line in out.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            found.setdefault(row["workload"], {})[row["n"]] = row["seconds"]
    return found


def duration(seconds: Optional[float]) -> str:
    """A time with its unit."""
    if seconds is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(found: Dict[str, Dict[str, Dict[int, float]]]) -> str:
    """All figures, and how many times as long each other one takes."""
    names = [name for name, _, _ in OTHERS]
    lines = ["| workload | trials before | toprung | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 3)]
    for workload, words in WORKLOADS:
        sizes = sorted({size for side in found.values() for size in side.get(workload, {})})
        if workload == "simulation":
            # A trial's cost does not depend on how many there are, so the sizes need not be the same.
            sizes = [0]
        for size in sizes:
            def of(side: str) -> Optional[float]:
                rows = found.get(side, {}).get(workload, {})
                return (rows or {0: None}).popitem()[1] if workload == "simulation" else rows.get(size)

            own = of("toprung")
            cells = []
            for name in names:
                other = of(name)
                ratio = f" ({other / own:.3g} ×)" if other is not None and own else ""
                cells.append(duration(other) + ratio)
            shown = f"{size:,}".replace(",", " ") if size else "–"
            lines.append(f"| {words} | {shown} | {duration(own)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=REPOSITORY / "target" / "side_by_side")
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.dir.mkdir(parents=True, exist_ok=True)
    found = {"toprung": ours()}
    for name, requirement, least in OTHERS:
        if sys.version_info < least:
            print(f"{name} needs Python {least[0]}.{least[1]}: left out", file=sys.stderr)
            continue
        found[name] = theirs(environment(options.dir, name, requirement), name, options.limit)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, "
          + ", ".join(requirement.split()[0] for _, requirement, _ in OTHERS))
    print("Processor time; in brackets: how many times ours.\n")
    print(table(found))
    print(f"\n– : not reached within {options.limit:.0f} s, or there is no such thing.\n\n{NOT_COMPARABLE}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Problem as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
