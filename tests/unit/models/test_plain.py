"""What was trained here is the same function in plain Keras, in a process that has only Keras."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqsweep.config import Conv1dConfig, GruConfig, LstmConfig
from seqsweep.models import build, portable

STEPS, FEATURES, N_HIDDEN, N_CLASSES = 6, 5, 12, 4
X = np.random.default_rng(1).random((16, STEPS, FEATURES), np.float32)
Y = np.random.default_rng(2).integers(0, N_CLASSES, 16)

IN_ANOTHER_PROCESS = """
import sys
sys.modules["seqsweep"] = None  # importing it raises
import keras, numpy
model = keras.saving.load_model("model.keras")
numpy.save("probabilities.npy", model.predict(numpy.load("x.npy"), verbose=0))
assert not [name for name in sys.modules if name.startswith("seqsweep.")]
"""


SIZE = {"n_hidden": N_HIDDEN, "n_layers": 1, "bidirectional": False, "dropout": 0.0}
LSTM = LstmConfig(name="lstm", **SIZE, forget_bias=1.0, products="float32")
GRU = GruConfig(name="gru", **SIZE, update_bias=1.0, reset_after=True)
CONV1D = Conv1dConfig(name="conv1d", n_filters=N_HIDDEN, kernel_size=3, n_layers=2, dropout=0.0)


def both_ways(kind, **more):
    return keras.layers.Bidirectional(kind(N_HIDDEN, **more))


def convolution():
    return keras.layers.Conv1D(N_HIDDEN, 3, padding="same", activation="relu")


def pooling():
    return keras.layers.MaxPooling1D(2, padding="same")


# A configuration, and the layers that stand for it in plain Keras.
MODELS = {
    "lstm": (LSTM, [keras.layers.LSTM(N_HIDDEN)]),
    "lstm with dropout": (replace(LSTM, dropout=0.3), [keras.layers.LSTM(N_HIDDEN)]),
    "lstm, three layers with dropout": (
        replace(LSTM, n_layers=3, dropout=0.3),
        [keras.layers.LSTM(N_HIDDEN, return_sequences=not last) for last in (0, 0, 1)],
    ),
    "lstm, both ways": (
        replace(LSTM, bidirectional=True, dropout=0.1),
        [both_ways(keras.layers.LSTM)],
    ),
    "lstm, two layers both ways": (
        replace(LSTM, n_layers=2, bidirectional=True),
        [both_ways(keras.layers.LSTM, return_sequences=True), both_ways(keras.layers.LSTM)],
    ),
    "gru": (GRU, [keras.layers.GRU(N_HIDDEN)]),
    "gru with dropout, reset before": (
        replace(GRU, dropout=0.3, reset_after=False),
        [keras.layers.GRU(N_HIDDEN, reset_after=False)],
    ),
    "gru, two layers both ways, reset before": (
        replace(GRU, n_layers=2, bidirectional=True, reset_after=False),
        [
            both_ways(keras.layers.GRU, reset_after=False, return_sequences=True),
            both_ways(keras.layers.GRU, reset_after=False),
        ],
    ),
    "conv1d": (
        CONV1D,
        [convolution(), pooling(), convolution(), pooling(), keras.layers.Flatten()],
    ),
    "conv1d with dropout": (
        replace(CONV1D, n_layers=1, dropout=0.3),
        [convolution(), pooling(), keras.layers.Flatten()],
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def trained(name):
    config, _ = MODELS[name]
    model = build(config, input_shape=(STEPS, FEATURES), n_classes=N_CLASSES, seed=5)
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    first = model.get_weights()
    for _ in range(20):
        step(X, Y)
    for before, after in zip(first, model.get_weights(), strict=True):
        assert np.abs(after - before).max() > 0.02, "training moves every weight"
    return model


@pytest.fixture
def logits(trained):
    return np.asarray(trained(X))


def test_trained_weights_give_the_same_logits_in_keras_own_layer(name, trained, logits):
    _, layers = MODELS[name]
    linear = keras.layers.Dense(N_CLASSES)
    plain = keras.Sequential([keras.Input((STEPS, FEATURES)), *layers, linear])
    plain.set_weights(trained.get_weights())
    np.testing.assert_allclose(plain(X), logits, rtol=0, atol=1e-5)


def test_portable_gives_the_softmax_of_the_logits(trained, logits):
    np.testing.assert_allclose(portable(trained)(X), tf.nn.softmax(logits), rtol=0, atol=1e-6)


def test_portable_is_made_of_keras_layers_alone(trained):
    modules = {type(layer).__module__.split(".")[0] for layer in portable(trained).layers}
    assert modules == {"keras"}


def test_portable_is_a_copy(trained, logits):
    twin = portable(trained)
    twin.set_weights([np.zeros_like(weight) for weight in twin.get_weights()])
    np.testing.assert_array_equal(trained(X), logits)


# Keras turns variables into arrays as NumPy 1 asked for it when it writes a .keras file.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
def test_the_saved_file_predicts_the_same_where_this_project_is_unknown(trained, logits, tmp_path):
    portable(trained).save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    subprocess.run([sys.executable, "-I", "-c", IN_ANOTHER_PROCESS], cwd=tmp_path, check=True)
    np.testing.assert_allclose(
        np.load(tmp_path / "probabilities.npy"), tf.nn.softmax(logits), rtol=0, atol=1e-6
    )
