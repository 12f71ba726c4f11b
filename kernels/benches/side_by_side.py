"""The one-pass reductions beside what a user would take instead: torch, and CUB through cupy, on the same GPU and data.

    python3 kernels/benches/side_by_side.py [GiB]

Makes its own virtual environment under target/side-by-side (torch and cupy from PyPI, several GB), runs every library in a process of
its own, and prints the median of 21 runs from call to result, in microseconds, with the ratio to Toprung. Needs an NVIDIA GPU
with its driver, and the toolchain of this repository.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "side-by-side"
PACKAGES = ["torch", "cupy-cuda12x", "numpy"]
RUNS = 21
LIBRARIES = ["torch", "cupy"]


def fail(problem: str) -> None:
    """Ends with a message."""
    sys.exit(f"side_by_side: {problem}")


def median_time(run: Callable[[], object], wait: Callable[[], object]) -> float:
    """Seconds from call to result; the first run compiles and is left out."""
    run()
    wait()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def by_torch(size: float) -> dict[str, float]:
    """What torch takes."""
    import torch

    if not torch.cuda.is_available():
        fail("torch finds no GPU")
    found = {}
    for name, kind, width in (("f32", torch.float32, 4), ("f64", torch.float64, 8)):
        values = torch.rand(int(size * 2**30) // width, dtype=kind, device="cuda")
        length = values.numel()
        work: dict[str, Callable[[], object]] = {
            "copy": values.clone,
            "moments": lambda: [part.item() for part in torch.var_mean(values)],
            "extremes": lambda: [torch.argmin(values).item(), torch.argmax(values).item()],
            "summary": lambda: [
                torch.isfinite(values).sum().item(),
                values.sum().item(),
                *(part.item() for part in torch.var_mean(values)),
                torch.argmin(values).item(),
                torch.argmax(values).item(),
            ],
            "histogram 256": lambda: torch.histc(values, 256, 0.0, 1.0).cpu(),
            "running best": lambda: torch.cummin(values, 0).values,
            "median": lambda: values.median().item(),
        }
        for each in (64, 1000, 1_000_000):
            rows = values[: length // each * each].view(-1, each)
            work[f"moments of segments of {each}"] = lambda rows=rows: [
                part.cpu() for part in torch.var_mean(rows, 1)
            ]
        for what, run in work.items():
            try:
                found[f"{what} {name}"] = median_time(run, torch.cuda.synchronize)
            except RuntimeError as error:
                print(f"torch: {what} {name}: {str(error).splitlines()[0]}", file=sys.stderr)
    return found


def by_cupy(size: float) -> dict[str, float]:
    """What CUB through cupy takes."""
    os.environ["CUPY_ACCELERATORS"] = "cub"
    import cupy

    if cupy.cuda.runtime.getDeviceCount() == 0:
        fail("cupy finds no GPU")
    wait = cupy.cuda.runtime.deviceSynchronize
    found = {}
    for name, kind, width in (("f32", cupy.float32, 4), ("f64", cupy.float64, 8)):
        values = cupy.random.rand(int(size * 2**30) // width, dtype=kind)
        length = values.size
        edges = cupy.linspace(0.0, 1.0, 257, dtype=kind)
        work: dict[str, Callable[[], object]] = {
            "copy": values.copy,
            "sum (CUB)": lambda: float(values.sum()),
            "moments": lambda: [float(values.mean()), float(values.var())],
            "extremes": lambda: [int(values.argmin()), int(values.argmax())],
            "histogram 256": lambda: cupy.histogram(values, edges)[0].get(),
        }
        for each in (64, 1000, 1_000_000):
            rows = values[: length // each * each].reshape(-1, each)
            work[f"moments of segments of {each}"] = lambda rows=rows: [rows.mean(1).get(), rows.var(1).get()]
        for what, run in work.items():
            try:
                found[f"{what} {name}"] = median_time(run, wait)
            except Exception as error:  # noqa: BLE001: a library that cannot do one thing is still asked for the others
                print(f"cupy: {what} {name}: {error}", file=sys.stderr)
    return found


def by_toprung(size: float) -> dict[str, float]:
    """What this repository takes."""
    command = ["cargo", "run", "--release", "--quiet", "-p", "toprung-kernels", "--example", "bandwidth", "--"]
    environment = dict(os.environ)
    folders = list((WORK / "lib").glob("python*/site-packages/nvidia/cuda_nvrtc/lib"))
    folders += list((WORK / "lib").glob("python*/site-packages/nvidia/cu*/lib"))
    known = environment.get("LD_LIBRARY_PATH", "")
    environment["LD_LIBRARY_PATH"] = ":".join([*(str(folder) for folder in folders), *([known] if known else [])])
    done = subprocess.run(
        [*command, "cuda:0", str(size), "--lines"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        fail("the example `bandwidth` failed, see above")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: float(seconds) for name, _, seconds in rows}


def by_library(library: str, size: float) -> dict[str, float]:
    """What a library takes, in a process of the environment."""
    python = WORK / "bin" / "python"
    done = subprocess.run(
        [str(python), __file__, str(size), library], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        fail(f"{library} failed, see above")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: float(seconds) for name, seconds in rows}


def main() -> None:
    """Compares, or measures one library if one is named."""
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    if len(sys.argv) > 2:
        measured = by_torch(size) if sys.argv[2] == "torch" else by_cupy(size)
        for name, seconds in measured.items():
            print(f"{name}\t{seconds:.9f}")
        return
    if shutil.which("nvidia-smi") is None:
        fail("there is no nvidia-smi, so no NVIDIA GPU with its driver; this comparison runs on one only")
    if not (WORK / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(WORK)], check=True)
    subprocess.run([str(WORK / "bin" / "pip"), "install", "--quiet", *PACKAGES], check=True)
    ours = by_toprung(size)
    theirs = {library: by_library(library, size) for library in LIBRARIES}
    print(f"median of {RUNS} runs in µs, arrays of {size} GiB; ratio: how many times as long as Toprung")
    print(f"{'':<36}{'toprung':>10}" + "".join(f"{library:>12}{'ratio':>8}" for library in LIBRARIES))
    for name in [*ours, *(name for times in theirs.values() for name in times if name not in ours)]:
        mine = ours.get(name)
        row = f"{name:<36}" + (f"{mine * 1e6:>10.1f}" if mine is not None else f"{'':>10}")
        for library in LIBRARIES:
            its = theirs[library].get(name)
            ratio = f"{its / mine:>8.2f}" if its is not None and mine else f"{'':>8}"
            row += (f"{its * 1e6:>12.1f}" if its is not None else f"{'':>12}") + ratio
        print(row)


if __name__ == "__main__":
    main()
