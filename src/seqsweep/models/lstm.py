"""The classifier of `conf/model/lstm.yaml`: one LSTM layer, its last output, a linear layer."""

from __future__ import annotations

import keras
import numpy as np

from seqsweep.config import LstmConfig
from seqsweep.models.basic_lstm import BasicLSTM


def build(
    config: LstmConfig, *, input_shape: tuple[int, int], n_classes: int, seed: int
) -> keras.Model:
    """Gives the untrained classifier: (batch, steps, features) in, logits (batch, n_classes) out.

    The same `seed` gives the same initial weights, bit for bit, with and without dropout, and the
    same sequence of dropout masks.

    Args:
        config: width, initial forget bias and dropout of the last output.
        input_shape: (steps, features), both known.
        n_classes: the number of logits.
        seed: from 0 up to 2**32, without that end.
    """
    of_lstm, of_weight, of_bias, of_dropout = map(
        int, np.random.SeedSequence(seed).generate_state(4)
    )
    layers = [
        keras.Input(input_shape),
        BasicLSTM(config.n_hidden, forget_bias=config.forget_bias, seed=of_lstm),
        keras.layers.Dropout(config.dropout, seed=of_dropout),
        keras.layers.Dense(
            n_classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=of_weight),
            bias_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=of_bias),
        ),
    ]
    if config.dropout == 0:
        del layers[2]
    return keras.Sequential(layers)
