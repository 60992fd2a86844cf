"""Adam as one kernel for each weight."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow import raw_ops as raw

from seqsweep.config import AdamConfig


class Adam:
    """Keras' Adam, in TensorFlow's fused kernel: five nodes of a graph where Keras has seventy.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, with epsilon outside of
    the correction of the bias, as Keras has it.

    Attributes:
        variables: the number of steps taken, then the two moments of each weight.
    """

    def __init__(self, config: AdamConfig, weights: Sequence[keras.Variable]) -> None:
        self._config = config
        self._weights = [weight.value for weight in weights]
        self._n_steps = tf.Variable(0, dtype=tf.int64)
        self._moments = [
            (tf.Variable(tf.zeros_like(weight)), tf.Variable(tf.zeros_like(weight)))
            for weight in self._weights
        ]
        self.variables = [self._n_steps, *(each for pair in self._moments for each in pair)]

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Takes one step; `gradients` are in the order of the weights."""
        config = self._config
        rates = (config.learning_rate, config.beta_1, config.beta_2, config.epsilon)
        rate, beta_1, beta_2, epsilon = (tf.constant(value, tf.float32) for value in rates)
        n_steps = tf.cast(self._n_steps.assign_add(1), tf.float32)
        powers = {"beta1_power": beta_1**n_steps, "beta2_power": beta_2**n_steps}
        for weight, (m, v), gradient in zip(self._weights, self._moments, gradients, strict=True):
            raw.ResourceApplyAdam(
                var=weight.handle,
                m=m.handle,
                v=v.handle,
                lr=rate,
                beta1=beta_1,
                beta2=beta_2,
                epsilon=epsilon,
                grad=gradient,
                **powers,
            )
