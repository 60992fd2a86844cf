"""Keras' GRU layer as `conf/model/gru.yaml` describes it."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqsweep.config import GruConfig
from seqsweep.models.kernels import glorot_kernels


def make_gru(
    config: GruConfig,
    *,
    features: int,
    seed: int,
    return_sequences: bool = False,
    go_backwards: bool = False,
) -> keras.layers.GRU:
    """Gives the layer: (batch, steps, features) in, the last output (batch, n_hidden) out.

    The two flags are those of keras.layers.GRU.

    The kernels start Glorot uniform, the biases zero but for the update gate's, whose gate is the
    share of the state that is kept (z in Keras' h = z·h + (1 - z)·candidate).

    Not unrolled, which would train 1.1 to 1.2 times as fast and take 1.4 to 1.9 s longer to trace,
    more than a short trial wins by it; `docs/performance.md` has the figures.
    """

    def first_bias(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
        """Gives (3n,), or (2, 3n) where the recurrent product has a bias of its own."""
        of_input = tf.repeat(tf.constant([config.update_bias, 0, 0], dtype), shape[-1] // 3)
        return tf.pad(of_input[None], [[0, 1], [0, 0]]) if len(shape) == 2 else of_input

    kernel, recurrent_kernel = glorot_kernels(features, config.n_hidden, 3, seed=seed)
    return keras.layers.GRU(
        config.n_hidden,
        reset_after=config.reset_after,
        kernel_initializer=kernel,
        recurrent_initializer=recurrent_kernel,
        bias_initializer=first_bias,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
    )
