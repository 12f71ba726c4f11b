"""Two spirals, told apart by a network of one hidden layer, in the standard library alone.

It knows nothing of who decides; any searcher could train it. By hand: PYTHONPATH=../../python python3 train.py --max-length 3
"""

import json
import math
import random

import toprung

POINTS = 120


def spirals():
    chance, points = random.Random(0), []
    for number in range(POINTS):
        way, arm = (number // 2 + 1) / (POINTS // 2), number % 2
        angle = 2.5 * math.pi * way + math.pi * arm
        x, y = way * math.cos(angle) + chance.gauss(0, 0.03), way * math.sin(angle) + chance.gauss(0, 0.03)
        points.append(((x, y, 0.3), 2.0 * arm - 1.0))
    chance.shuffle(points)
    return points[: POINTS * 2 // 3], points[POINTS * 2 // 3 :]


class Network:
    def __init__(self, hidden, seed):
        chance = random.Random(seed)
        self.inner = [[chance.gauss(0, 2) for _ in range(3)] for _ in range(hidden)]
        self.outer = [chance.gauss(0, 0.5) for _ in range(hidden)]
        self.inner_speed = [[0.0] * 3 for _ in range(hidden)]
        self.outer_speed = [0.0] * hidden

    def hidden(self, x):
        return [math.tanh(sum(w * v for w, v in zip(row, x))) for row in self.inner]

    def guess(self, x):
        return math.tanh(sum(w * h for w, h in zip(self.outer, self.hidden(x))))

    def learn(self, x, y, rate, momentum):
        hidden = self.hidden(x)
        out = math.tanh(sum(w * h for w, h in zip(self.outer, hidden)))
        error = (out - y) * (1 - out * out)
        for unit, h in enumerate(hidden):
            slope = error * self.outer[unit] * (1 - h * h)
            self.outer_speed[unit] = momentum * self.outer_speed[unit] - rate * error * h
            self.outer[unit] += self.outer_speed[unit]
            for place, v in enumerate(x):
                self.inner_speed[unit][place] = momentum * self.inner_speed[unit][place] - rate * slope * v
                self.inner[unit][place] += self.inner_speed[unit][place]


def main():
    train, test = spirals()
    with toprung.trial(defaults={"learning_rate": 0.05, "hidden": 8, "momentum": 0.5}) as trial:
        network = Network(trial.hparams.hidden, trial.seed)
        if trial.latest_checkpoint:
            network.__dict__.update(json.loads((trial.latest_checkpoint / "network.json").read_text()))
        for _ in trial.lengths():
            for _ in range(10):
                for x, y in train:
                    network.learn(x, y, trial.hparams.learning_rate, trial.hparams.momentum)
            error = sum((network.guess(x) - y) ** 2 for x, y in test) / len(test)
            trial.report(error=error)
            with trial.save() as directory:
                (directory / "network.json").write_text(json.dumps(network.__dict__))


if __name__ == "__main__":
    main()
