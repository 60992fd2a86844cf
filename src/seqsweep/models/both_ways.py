"""A recurrent layer that reads a sequence from either end."""

from __future__ import annotations

import keras
import tensorflow as tf


class BothWays(keras.layers.Layer):
    """The outputs of two recurrent layers side by side, (…, 2·units): keras.layers.Bidirectional.

    That one makes its layers anew from their configurations, which would need initialisers that
    can be written down.

    Args:
        forward: made with `return_sequences` or without.
        backward: made likewise, and with `go_backwards`.
    """

    def __init__(self, forward: keras.layers.Layer, backward: keras.layers.Layer) -> None:
        super().__init__()
        self.forward = forward
        self.backward = backward

    def build(self, input_shape: tuple[int | None, int, int]) -> None:
        """Makes the weights, those of the forward layer first."""
        self.forward.build(input_shape)
        self.backward.build(input_shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Gives the outputs, in the order of the steps."""
        forward = self.forward(x, training=training)
        backward = self.backward(x, training=training)
        if self.forward.return_sequences:
            backward = tf.reverse(backward, [1])
        return tf.concat([forward, backward], -1)

    def compute_output_shape(self, input_shape: tuple[int | None, int, int]) -> tuple:
        """Gives the forward layer's, twice as wide."""
        *shape, units = self.forward.compute_output_shape(input_shape)
        return (*shape, 2 * units)
