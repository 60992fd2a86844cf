"""The classifiers of `conf/model/`: layers that read a sequence, then a linear layer."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np

from seqsweep.config import (
    Conv1dConfig,
    GruConfig,
    LstmConfig,
    ModelConfig,
    ModelFunctionConfig,
)
from seqsweep.models.conv1d import make_conv1d
from seqsweep.models.gru import make_gru
from seqsweep.models.lstm import Device, make_lstm
from seqsweep.models.own import make_own
from seqsweep.models.stack import make_stack, seeds_from


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
        config: the layers that read the sequence, and the dropout of what each gives.
        input_shape: (steps, features), both known.
        n_classes: the number of logits.
        seed: from 0 up to 2**32, without that end.
        device: what it is to train on; an LSTM is made for it, and computes the same on either.

    Raises:
        ConfigError: a model of the user's own cannot be made or trained.
    """
    if isinstance(config, ModelFunctionConfig):
        own = make_own(config, input_shape=input_shape, n_classes=n_classes, seed=seed)
        return keras.Sequential([keras.Input(input_shape), own])
    of_layer, of_weight, of_bias, of_dropout = map(
        int, np.random.SeedSequence(seed).generate_state(4)
    )
    blocks = _blocks(config, features=input_shape[1], seed=of_layer, device=device)
    layers: list[keras.layers.Layer] = []
    for block, of_this in zip(blocks, seeds_from(of_dropout, len(blocks)), strict=True):
        layers += block
        if config.dropout > 0:
            layers.append(keras.layers.Dropout(config.dropout, seed=of_this))
    linear = _linear(config, n_classes, of_weight=of_weight, of_bias=of_bias)
    return keras.Sequential([keras.Input(input_shape), *layers, linear])


def variables_of(model: keras.Model) -> list[keras.Variable]:
    """Gives all that training changes: the weights, and from where dropout draws next.

    Keras' recurrent layers have something to draw from too, which our models do not use.
    """
    drawing = keras.layers.Dropout | keras.Model  # a model of the user's own
    layers = [layer for layer in model.layers if isinstance(layer, drawing)]
    found = [*model.weights, *(v for layer in layers for v in layer.variables)]
    return list({id(variable): variable for variable in found}.values())


def _blocks(
    config: ModelConfig, *, features: int, seed: int, device: Device
) -> list[list[keras.layers.Layer]]:
    """Gives the layers between whose blocks dropout stands."""
    match config:
        case LstmConfig():
            make = partial(make_lstm, config, device=device)
        case GruConfig():
            make = partial(make_gru, config)
        case Conv1dConfig():
            return make_conv1d(config, seed=seed)
    return [[layer] for layer in make_stack(make, config, features=features, seed=seed)]


def _linear(
    config: ModelConfig, n_classes: int, *, of_weight: int, of_bias: int
) -> keras.layers.Dense:
    """Gives the last layer, which starts standard normal; Glorot uniform behind convolutions.

    They give some hundred values that have no upper bound, where a recurrent layer's are below 1.
    """
    if isinstance(config, Conv1dConfig):
        uniform = keras.initializers.GlorotUniform(seed=of_weight)
        return keras.layers.Dense(n_classes, kernel_initializer=uniform)
    return keras.layers.Dense(
        n_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=of_weight),
        bias_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=of_bias),
    )
