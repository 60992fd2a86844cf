"""Models that load wherever Keras is installed."""

from __future__ import annotations

import keras

from seqsweep.models.basic_lstm import BasicLSTM
from seqsweep.models.both_ways import BothWays


def portable(model: keras.Model) -> keras.Model:
    """Gives class probabilities by Keras's own layers alone, with a copy of the model's weights.

    Saved as a .keras file it loads in a process that knows nothing of this project.

    Args:
        model: a chain of layers that ends in logits, as `build` gives it.
    """
    twin = keras.Sequential(
        [
            keras.Input(model.input_shape[1:]),
            *(_plain(layer) for layer in model.layers),
            keras.layers.Softmax(),
        ]
    )
    twin.set_weights(model.get_weights())
    return twin


def logits(model: keras.Model) -> keras.Model:
    """Gives what a portable model computes before its last layer, the softmax; shares weights."""
    return keras.Sequential([keras.Input(model.input_shape[1:]), *model.layers[:-1]])


def _plain(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.Model):  # of the user's own
        return keras.models.clone_model(layer)
    if isinstance(layer, BothWays):
        return keras.layers.Bidirectional(_plain(layer.forward))
    if isinstance(layer, BasicLSTM | keras.layers.LSTM):
        return keras.layers.LSTM(layer.units, return_sequences=layer.return_sequences)
    if isinstance(layer, keras.layers.GRU):  # without our initialisers
        return keras.layers.GRU(
            layer.units, reset_after=layer.reset_after, return_sequences=layer.return_sequences
        )
    return layer.from_config(layer.get_config())
