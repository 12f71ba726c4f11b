"""Logistic regression on cells.csv: an ordinary script that knows nothing of Toprung. It prints what it measures.

By hand: python3 train.py --learning-rate 0.1 --epochs 5
"""

import argparse
import csv
import math
import random
from pathlib import Path


def load():
    with open(Path(__file__).parent / "cells.csv", newline="") as file:
        rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
    random.Random(0).shuffle(rows)  # the same split in every run
    features = list(zip(*(row[:-1] for row in rows)))
    means = [sum(column) / len(column) for column in features]
    widths = [math.sqrt(sum((v - m) ** 2 for v in column) / len(column)) for column, m in zip(features, means)]
    scaled = [([(v - m) / w for v, m, w in zip(row, means, widths)], row[-1]) for row in rows]
    return scaled[:400], scaled[400:]


def predict(weights, bias, x):
    score = bias + sum(w * v for w, v in zip(weights, x))
    return 1 / (1 + math.exp(-max(-500.0, min(500.0, score))))


def train_epoch(weights, bias, rows, args, shuffle):
    shuffle.shuffle(rows)
    for start in range(0, len(rows), args.batch_size):
        batch = rows[start : start + args.batch_size]
        errors = [predict(weights, bias, x) - y for x, y in batch]
        for i in range(len(weights)):
            slope = sum(error * x[i] for error, (x, _) in zip(errors, batch)) / len(batch)
            weights[i] -= args.learning_rate * (slope + args.l2 * weights[i])
        bias -= args.learning_rate * sum(errors) / len(batch)
    return bias


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--l2", type=float, default=0.001)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train, valid = load()
    weights, bias, shuffle = [0.0] * 10, 0.0, random.Random(args.seed)
    for epoch in range(1, args.epochs + 1):
        bias = train_epoch(weights, bias, train, args, shuffle)
        probabilities = [(predict(weights, bias, x), y) for x, y in valid]
        error = sum((p > 0.5) != (y > 0.5) for p, y in probabilities) / len(valid)
        loss = -sum(math.log(max(p if y else 1 - p, 1e-300)) for p, y in probabilities) / len(valid)
        print(f"epoch={epoch} validation_error={error:.4f} validation_loss={loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
