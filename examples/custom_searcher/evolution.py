"""A searcher of our own: the fittest have children, children train as long as they are among the fittest.

Each trial trains 3 epochs first. If it is among the best half of those seen so far, it goes on to 12; else it is stopped. Each
one that has ended makes room for a child: two of the best are crossed, and one hyperparameter is changed. From the root of
the repository:

    PYTHONPATH=python python3 examples/custom_searcher/evolution.py

It may be killed and started again at any time: what it keeps in `memory` goes on, and so do its trials.
"""

import sys
from pathlib import Path

import toprung

TRIALS, AT_ONCE, FIRST = 24, 4, 3
CHANGES = {
    "learning_rate": lambda value, chance: min(1.0, max(0.001, value * 3 ** chance.uniform(-1, 1))),
    "hidden": lambda value, chance: min(16, max(2, value + chance.randint(-3, 3))),
    "momentum": lambda value, chance: min(0.95, max(0.0, value + chance.uniform(-0.2, 0.2))),
}


def child(ranked, chance):
    fittest = [hparams for _, hparams in ranked[: max(2, len(ranked) // 4)]]
    mother, father = chance.choice(fittest), chance.choice(fittest)
    born = {name: chance.choice([mother, father])[name] for name in CHANGES}
    name = chance.choice(sorted(CHANGES))
    return {**born, name: CHANGES[name](born[name], chance)}


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "search.yaml"
    with toprung.CustomSearch(int(what) if str(what).isdigit() else what, client="evolution") as search:
        ranked = search.memory.setdefault("ranked", [])  # [error after the first epochs, hyperparameters], the best first
        for event in search:
            if event.kind == "begun":
                for _ in range(AT_ONCE):
                    search.create(length=FIRST, reason="drawn at random")
            elif event.kind == "validated" and event.length == FIRST:
                ranked.append([event.metric, event.hparams])
                ranked.sort(key=lambda one: one[0])
                place, of = ranked.index([event.metric, event.hparams]) + 1, len(ranked)
                if place <= max(1, of // 2):
                    search.train_to(event.trial, search.max_length, f"place {place} of {of}")
                else:
                    search.stop(event.trial, f"place {place} of {of}")
            elif event.kind == "ended":
                print(f"trial {event.trial} {event.state}: {event.reason}", flush=True)
                over = search.memory["over"] = search.memory.get("over", 0) + 1
                search.progress = over / TRIALS
                if over == TRIALS:
                    search.finish(f"{TRIALS} trials were enough")
                elif over <= TRIALS - AT_ONCE:
                    search.create(child(ranked, search.random), FIRST, reason="a child of the fittest")
    print(f"{search.state}: {search.reason}")
    print(f"best: trial {search.best.trial}, error {search.best.metric:.4f}, {dict(search.best.hparams)}")


if __name__ == "__main__":
    main()
