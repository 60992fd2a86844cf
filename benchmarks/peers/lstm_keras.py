"""Trains what its argument says, in TensorFlow, for as long as it is told to; see ../lstm.py.

It is `ours`, `bfloat16`, `Keras`, or the matrix `products` alone.
"""

import sys
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from seqsweep import models
from seqsweep.config import AdamConfig, LstmConfig
from seqsweep.data import Split
from seqsweep.trial.adam import Adam
from seqsweep.trial.train import make_steps

STEPS, FEATURES, CLASSES, IMAGES = 28, 28, 10, 4000
ADAM = AdamConfig(name="adam", learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
RNG = np.random.default_rng(0)
DATA = Split(
    RNG.random((IMAGES, STEPS, FEATURES), np.float32),
    RNG.integers(0, CLASSES, IMAGES).astype(np.int32),
)

Train = Callable[[int], None]


def ours(n_hidden: int, batch_size: int, products: str = "float32") -> Train:
    model = models.build(
        LstmConfig(
            name="lstm",
            n_hidden=n_hidden,
            n_layers=1,
            bidirectional=False,
            forget_bias=1.0,
            products=products,
            dropout=0.0,
        ),
        input_shape=(STEPS, FEATURES),
        n_classes=CLASSES,
        seed=0,
    )
    run_steps = make_steps(model, Adam(ADAM, model.trainable_variables), DATA, batch_size)

    def train(n_steps: int) -> None:
        order = RNG.integers(0, IMAGES, (n_steps, batch_size)).astype(np.int32)
        run_steps(tf.constant(order))

    return train


def bfloat16(n_hidden: int, batch_size: int) -> Train:
    return ours(n_hidden, batch_size, "bfloat16")


def keras_fit(n_hidden: int, batch_size: int) -> Train:
    model = keras.Sequential(
        [keras.Input((STEPS, FEATURES)), keras.layers.LSTM(n_hidden), keras.layers.Dense(CLASSES)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(ADAM.learning_rate), loss)

    def train(n_steps: int) -> None:
        repeats = -(-n_steps * batch_size // IMAGES)
        x, y = (
            np.concatenate([part] * repeats)[: n_steps * batch_size] for part in (DATA.x, DATA.y)
        )
        model.fit(x, y, batch_size=batch_size, epochs=1, shuffle=False, verbose=0)

    return train


def products(n: int, batch_size: int) -> Train:
    def variables(count: int, *shape: int) -> list[tf.Variable]:
        return [tf.Variable(tf.random.normal(shape)) for _ in range(count)]

    inputs = FEATURES + 1 + n
    weights, recurrent = variables(1, 4 * n, inputs)[0], variables(1, n, 4 * n)[0]
    x1h, dz = variables(STEPS, inputs, batch_size), variables(STEPS, 4 * n, batch_size)
    all_dz = variables(1, 4 * n, STEPS * batch_size)[0]
    all_inputs = variables(1, inputs, STEPS * batch_size)[0]

    @tf.function(autograph=False)
    def step() -> list[tf.Tensor]:  # all are results, or TensorFlow would leave them out
        forward = [weights @ each for each in x1h]
        backward = [recurrent @ each for each in dz]
        return [*forward, *backward, tf.matmul(all_dz, all_inputs, transpose_b=True)]

    def train(n_steps: int) -> None:
        for _ in range(n_steps):
            step()

    return train


KINDS = {"ours": ours, "bfloat16": bfloat16, "Keras": keras_fit, "products": products}


def main() -> None:
    make, known = KINDS[sys.argv[1]], {}
    print("ready", flush=True)
    for line in sys.stdin:
        *shape, n_steps = map(int, line.split())
        if tuple(shape) not in known:
            known = {tuple(shape): make(*shape)}
        start = time.perf_counter()
        known[tuple(shape)](n_steps)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
