"""An LSTM layer of `conf/model/lstm.yaml`: one for each kind of device, with the same weights."""

from __future__ import annotations

from typing import Literal

import keras

from seqsweep.config import LstmConfig
from seqsweep.models.basic_lstm import BasicLSTM, first_bias
from seqsweep.models.kernels import glorot_kernels

Device = Literal["cpu", "gpu"]


def make_lstm(
    config: LstmConfig,
    *,
    features: int,
    seed: int,
    device: Device,
    return_sequences: bool = False,
    go_backwards: bool = False,
) -> BasicLSTM | keras.layers.LSTM:
    """Gives the layer: (batch, steps, features) in, the last output (batch, n_hidden) out.

    The two flags are those of keras.layers.LSTM.

    On a GPU it is Keras' own, with the arguments by which Keras takes cuDNN's kernels. The two
    compute the same, from weights of the same shapes in the same order that start alike; with
    products in bfloat16 the one of a GPU has mixed precision, and rounds in evaluation too.
    """
    if device == "cpu":
        return BasicLSTM(
            config.n_hidden,
            forget_bias=config.forget_bias,
            seed=seed,
            products=config.products,
            return_sequences=return_sequences,
            go_backwards=go_backwards,
        )
    kernel, recurrent_kernel = glorot_kernels(features, config.n_hidden, 4, seed=seed)
    return keras.layers.LSTM(
        config.n_hidden,
        kernel_initializer=kernel,
        recurrent_initializer=recurrent_kernel,
        bias_initializer=first_bias(config.forget_bias),
        unit_forget_bias=False,  # which would set it to 1
        dtype="mixed_bfloat16" if config.products == "bfloat16" else None,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
    )
