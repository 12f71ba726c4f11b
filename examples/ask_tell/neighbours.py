"""k nearest neighbours on ../unmodified/cells.csv by 9-fold cross-validation; which k, which distance?

A program of its own: it runs no agent and no server, and asks the search for what to try. From the root of the repository:

    PYTHONPATH=python python3 examples/ask_tell/neighbours.py

It may be stopped and started again: name the experiment's number, and the search goes on where it was. A few of them at a
time share the work: the first one runs the engine, the others join it by its number.
"""

import csv
import json
import math
import random
import sys
from pathlib import Path

import toprung

HERE = Path(__file__).parent
FOLDS = 9


def load():
    with open(HERE.parent / "unmodified" / "cells.csv", newline="") as file:
        rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
    random.Random(0).shuffle(rows)  # the same folds in every run
    columns = list(zip(*(row[:-1] for row in rows)))
    means = [sum(column) / len(column) for column in columns]
    widths = [math.sqrt(sum((v - m) ** 2 for v in column) / len(column)) for column, m in zip(columns, means)]
    return [([(v - m) / w for v, m, w in zip(row, means, widths)], row[-1] > 0.5) for row in rows]


def mistakes(rows, fold, hparams):
    """How many of a fold's cells the others' nearest neighbours get wrong, of how many."""
    known = [row for number, row in enumerate(rows) if number % FOLDS != fold]
    asked = rows[fold::FOLDS]
    wrong = 0
    for x, benign in asked:
        near = sorted((sum(abs(a - b) ** hparams.power for a, b in zip(x, y)), label) for y, label in known)
        votes = 0.0
        for distance, label in near[: hparams.neighbours]:
            weight = 1 / (distance + 1e-9) if hparams.closer_counts_more else 1.0
            votes += weight if label else -weight
        wrong += (votes > 0) != benign
    return [wrong, len(asked)]


def main():
    rows = load()
    what = int(sys.argv[1]) if len(sys.argv) > 1 else HERE / "search.yaml"
    with toprung.Search(what) as search:
        for trial in search:
            with trial:
                # What is saved is so little that the label itself holds it.
                done = json.loads(trial.checkpoint) if trial.checkpoint else []
                for fold in trial.lengths():
                    done.append(mistakes(rows, fold - 1, trial.hparams))
                    wrong, asked = sum(wrong for wrong, _ in done), sum(asked for _, asked in done)
                    error = (wrong + 4) / (asked + 8)  # cautious: a few good folds must not look better than all of them
                    decision = trial.report(error=error, checkpoint=json.dumps(done))
                print(f"trial {trial.id}: error {error:.4f} after {len(done)} folds; {decision.kind}: {decision.reason}")
        best = search.best
        print(f"{search.state}: {search.reason}")
        print(f"best: trial {best.trial}, error {best.metric:.4f} after {best.length} folds, {dict(best.hparams)}")


if __name__ == "__main__":
    main()
