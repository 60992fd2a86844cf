"""What the peers of ../sweep.py train: Keras' own LSTM, on the digits of a file."""

import uuid
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


def train(
    digits: str,
    log: str,
    *,
    n_hidden: int,
    forget_bias: float,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> tuple[keras.Model, float]:
    """Gives the trained model, and the best accuracy of its validations."""
    keras.utils.set_random_seed(seed)
    model = build(n_hidden, forget_bias, learning_rate)
    with np.load(digits) as data:
        history = model.fit(
            data["x_train"],
            data["y_train"],
            validation_data=(data["x_validation"], data["y_validation"]),
            batch_size=batch_size,
            epochs=epochs,
            callbacks=[Log(log), *callbacks],
            verbose=0,
        )
    return model, max(history.history["val_accuracy"])


def build(n_hidden: int, forget_bias: float, learning_rate: float) -> keras.Model:
    lstm = keras.layers.LSTM(n_hidden)
    model = keras.Sequential([keras.Input((28, 28)), lstm, keras.layers.Dense(10)])
    kernel, recurrent, bias = lstm.get_weights()
    bias[n_hidden : 2 * n_hidden] = forget_bias
    lstm.set_weights([kernel, recurrent, bias])
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def use_threads(n: int) -> None:
    """Takes so many threads for a training, 0: one a core; before TensorFlow does anything."""
    tf.config.threading.set_intra_op_parallelism_threads(n)
    tf.config.threading.set_inter_op_parallelism_threads(n)


class Log(keras.callbacks.Callback):
    """Writes a line for each epoch: a name of the training, and the validation's accuracy."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = Path(path)

    def on_train_begin(self, logs=None):
        self._training = uuid.uuid4().hex

    def on_epoch_end(self, epoch, logs):
        with self._path.open("a") as file:
            file.write(f"{self._training} {logs['val_accuracy']}\n")
