"""The default search with Keras Tuner's Bayesian optimisation, which tries one trial at a time."""

import argparse
import tempfile

import keras_tuner
import numpy as np
from keras_lstm import Log, build


class Digits(keras_tuner.HyperModel):
    """The space: three values of the model, and the batch size of its training."""

    def build(self, hp):
        return build(
            hp.Int("n_hidden", 32, 256, sampling="log"),
            hp.Float("forget_bias", 0, 2),
            hp.Float("learning_rate", 1e-4, 1e-1, sampling="log"),
        )

    def fit(self, hp, model, *args, **kwargs):
        batch_size = hp.Int("batch_size", 32, 256, sampling="log")
        return model.fit(*args, batch_size=batch_size, **kwargs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("digits")
    parser.add_argument("log")
    for name in ("--trials", "--epochs", "--seed"):
        parser.add_argument(name, type=int, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, np.load(given.digits) as data:
        tuner = keras_tuner.BayesianOptimization(
            Digits(),
            objective="val_accuracy",
            max_trials=given.trials,
            seed=given.seed,
            directory=folder,
        )
        tuner.search(
            data["x_train"],
            data["y_train"],
            validation_data=(data["x_validation"], data["y_validation"]),
            epochs=given.epochs,
            callbacks=[Log(given.log)],
            verbose=0,
        )


if __name__ == "__main__":
    main()
