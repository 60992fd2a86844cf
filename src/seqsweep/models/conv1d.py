"""The convolutions of `conf/model/conv1d.yaml`."""

from __future__ import annotations

import keras

from seqsweep.config import Conv1dConfig
from seqsweep.models.stack import seeds_from

POOLED = 2  # steps of which the largest value is kept


def make_conv1d(config: Conv1dConfig, *, seed: int) -> list[list[keras.layers.Layer]]:
    """Gives the layers of each convolution: (batch, steps, features) in, (batch, n) out at the end.

    Each halves the number of steps, rounded up.
    """
    blocks = [
        [
            keras.layers.Conv1D(
                config.n_filters,
                config.kernel_size,
                padding="same",
                activation="relu",
                kernel_initializer=keras.initializers.HeUniform(seed=of_kernel),
            ),
            keras.layers.MaxPooling1D(POOLED, padding="same"),
        ]
        for of_kernel in seeds_from(seed, config.n_layers)
    ]
    blocks[-1].append(keras.layers.Flatten())
    return blocks
