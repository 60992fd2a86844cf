"""The classifier of `conf/model/`: a recurrent layer, its last output, a linear layer."""

from __future__ import annotations

import keras
import numpy as np

from seqsweep.config import GruConfig, LstmConfig, ModelConfig
from seqsweep.models.gru import make_gru
from seqsweep.models.lstm import Device, make_lstm


def build(
    config: ModelConfig,
    *,
    input_shape: tuple[int, int],
    n_classes: int,
    seed: int,
    device: Device = "cpu",
) -> keras.Model:
    """Gives the untrained classifier: (batch, steps, features) in, logits (batch, n_classes) out.

    The same `seed` gives the same initial weights, bit for bit, with and without dropout, and the
    same sequence of dropout masks.

    Args:
        config: the recurrent layer, and the dropout of its last output.
        input_shape: (steps, features), both known.
        n_classes: the number of logits.
        seed: from 0 up to 2**32, without that end.
        device: what it is to train on; an LSTM is made for it, and computes the same on either.
    """
    of_layer, of_weight, of_bias, of_dropout = map(
        int, np.random.SeedSequence(seed).generate_state(4)
    )
    layers = [
        keras.Input(input_shape),
        _recurrent(config, features=input_shape[1], seed=of_layer, device=device),
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


def variables_of(model: keras.Model) -> list[keras.Variable]:
    """Gives all that training changes: the weights, and from where dropout draws next.

    Keras' recurrent layers have something to draw from too, which nothing uses.
    """
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    return [*model.weights, *(v for layer in dropouts for v in layer.variables)]


def _recurrent(
    config: ModelConfig, *, features: int, seed: int, device: Device
) -> keras.layers.Layer:
    match config:
        case LstmConfig():
            return make_lstm(config, features=features, seed=seed, device=device)
        case GruConfig():
            return make_gru(config, features=features, seed=seed)
    raise TypeError(f"no such model: {config!r}")
