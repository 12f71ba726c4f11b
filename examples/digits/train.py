"""One trial of the digits search. By hand: python3 train.py --max-length 9 --learning_rate 0.01"""

import pickle

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import toprung

DEFAULTS = {"learning_rate": 0.001, "hidden": 64, "alpha": 1e-4, "batch_size": 32, "activation": "relu"}


def new_model(hparams, seed):
    return MLPClassifier(
        hidden_layer_sizes=(hparams.hidden,),
        activation=hparams.activation,
        alpha=hparams.alpha,
        batch_size=hparams.batch_size,
        learning_rate_init=hparams.learning_rate,
        # A generator rather than a number: it is pickled with the model, so a resumed trial shuffles on where it was.
        random_state=np.random.RandomState(seed % 2**32),
    )


def main():
    digits = load_digits()
    # The same split for all trials, so that their errors can be compared.
    train_x, valid_x, train_y, valid_y = train_test_split(
        digits.data / 16, digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
    with toprung.trial(DEFAULTS, max_length=27) as trial:
        if trial.latest_checkpoint:
            model = pickle.loads((trial.latest_checkpoint / "model.pkl").read_bytes())
        else:
            model = new_model(trial.hparams, trial.seed)
        for _ in trial.epochs():
            model.partial_fit(train_x, train_y, classes=range(10))  # one epoch of mini-batches
            trial.report_training(loss=model.loss_)
            trial.report(validation_error=1 - model.score(valid_x, valid_y))
            with trial.save() as directory:
                (directory / "model.pkl").write_bytes(pickle.dumps(model))


if __name__ == "__main__":
    main()
