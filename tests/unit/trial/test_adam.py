"""The fused optimizer against Keras' own."""

import keras
import numpy as np
import tensorflow as tf

from seqsweep.config import AdamConfig
from seqsweep.trial.adam import Adam


def test_a_hundred_steps_are_those_of_keras_adam():
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,), (1, 1))]
    ours, theirs = ([keras.Variable(value) for value in start] for _ in range(2))
    config = AdamConfig(name="adam", learning_rate=0.03, beta_1=0.8, beta_2=0.95, epsilon=1e-4)
    fused = Adam(config, ours)
    keras_adam = keras.optimizers.Adam(0.03, beta_1=0.8, beta_2=0.95, epsilon=1e-4)
    for _ in range(100):
        gradients = [tf.constant(rng.normal(size=v.shape), tf.float32) for v in start]
        fused.apply(gradients)
        keras_adam.apply(gradients, theirs)
    for mine, other, first in zip(ours, theirs, start, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=2e-5)
        assert np.abs(np.asarray(mine) - first).max() > 0.1


def test_its_variables_are_the_steps_taken_and_two_moments_of_each_weight():
    weights = [
        keras.Variable(np.zeros((2, 3), np.float32)),
        keras.Variable(np.zeros(4, np.float32)),
    ]
    adam = Adam(
        AdamConfig(name="adam", learning_rate=0.1, beta_1=0.5, beta_2=0.75, epsilon=1e-8), weights
    )
    adam.apply([tf.ones((2, 3)), tf.ones(4)])
    n_steps, *moments = adam.variables
    assert int(n_steps) == 1
    assert [m.shape for m in moments] == [(2, 3), (2, 3), (4,), (4,)]
    assert [float(tf.reduce_max(m)) for m in moments] == [0.5, 0.25, 0.5, 0.25]
