"""Records the learning curves of examples/digits into digits.csv.zst, one line for each configuration and epoch.

python3 -m venv .venv && .venv/bin/pip install "scikit-learn>=1.4,<2"
PYTHONPATH=../../python .venv/bin/python record.py | zstd -19 -o digits.csv.zst

The same network, data and split as examples/digits/train.py, all configurations trained in full: 256 random ones of the space of
examples/digits/search.yaml. `seconds` is the CPU time of that epoch on the machine that recorded, busy with other work.
"""

import csv
import random
import sys
import time
import types
import warnings
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "digits"))
from train import new_model  # noqa: E402

CONFIGURATIONS = 256
EPOCHS = 27


def draw(source: random.Random) -> dict:
    return {
        "learning_rate": float(f"{10 ** source.uniform(-4, -1):.3g}"),
        "hidden": source.randint(8, 256),
        "alpha": float(f"{10 ** source.uniform(-6, 0):.3g}"),
        "batch_size": source.choice([16, 32, 64, 128]),
        "activation": source.choice(["relu", "tanh", "logistic"]),
    }


def main() -> None:
    warnings.filterwarnings("ignore")
    digits = load_digits()
    train_x, valid_x, train_y, valid_y = train_test_split(
        digits.data / 16, digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
    source = random.Random(1)
    configurations = [draw(source) for _ in range(CONFIGURATIONS)]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*configurations[0], "epoch", "validation_error", "seconds"])
    for seed, hparams in enumerate(configurations):
        model = new_model(types.SimpleNamespace(**hparams), seed)
        for epoch in range(1, EPOCHS + 1):
            started = time.process_time()
            model.partial_fit(train_x, train_y, classes=range(10))
            seconds = time.process_time() - started
            error = 1 - model.score(valid_x, valid_y)
            writer.writerow([*hparams.values(), epoch, f"{error:.5f}", f"{seconds:.4f}"])
        print(f"{seed + 1} of {CONFIGURATIONS}: {error:.4f}", file=sys.stderr)


if __name__ == "__main__":
    main()
