"""Several layers, in one direction or two: their seeds, shapes and dropout."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from seqsweep.config import Conv1dConfig, GruConfig, LstmConfig
from seqsweep.models import build, variables_of

STEPS, FEATURES, N_CLASSES = 7, 5, 3
X = np.random.default_rng(0).random((8, STEPS, FEATURES), np.float32)
SIZE = {"n_hidden": 6, "n_layers": 2, "bidirectional": False, "dropout": 0.0}
LSTM = LstmConfig(name="lstm", **SIZE, forget_bias=1.0, products="float32")
GRU = GruConfig(name="gru", **SIZE, update_bias=1.0, reset_after=True)
CONV1D = Conv1dConfig(name="conv1d", n_filters=6, kernel_size=3, n_layers=2, dropout=0.0)
CONFIGS = {
    "lstm": LSTM,
    "lstm both ways": replace(LSTM, bidirectional=True),
    "gru": GRU,
    "gru both ways": replace(GRU, bidirectional=True),
    "conv1d": CONV1D,
}
every_model = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def build_one(config, *, seed=3):
    return build(config, input_shape=(STEPS, FEATURES), n_classes=N_CLASSES, seed=seed)


@every_model
def test_it_gives_one_logit_a_class(config):
    model = build_one(config)
    assert model.output_shape == (None, N_CLASSES)
    assert np.asarray(model(X)).shape == (len(X), N_CLASSES)


@every_model
def test_the_same_seed_gives_the_same_bits_and_another_gives_others(config):
    one, same, other = (build_one(config, seed=seed).get_weights() for seed in (3, 3, 4))
    assert [w.tobytes() for w in one] == [w.tobytes() for w in same]
    matrices = [pair for pair in zip(one, other, strict=True) if pair[0].shape[0] > 2]
    assert all(np.mean(mine == theirs) < 0.5 for mine, theirs in matrices if mine.ndim > 1)


@every_model
def test_no_two_kernels_start_from_the_same_draws(config):
    drawn = [w for w in build_one(config).get_weights() if len(np.unique(w)) > 10]
    assert len(drawn) >= 3
    for one, other in combinations(drawn, 2):
        scaled = [np.sort(w.ravel()[:10] / np.abs(w.ravel()[:10]).max()) for w in (one, other)]
        assert not np.allclose(*scaled, rtol=1e-3)


@pytest.mark.parametrize("name", ["lstm", "gru", "conv1d"])
def test_a_layer_more_leaves_the_first_weights_of_those_below(name):
    config = CONFIGS[name]
    one, two = (build_one(replace(config, n_layers=n)).get_weights() for n in (1, 2))
    of_a_layer = 2 if name == "conv1d" else 3
    for mine, theirs in zip(one[:of_a_layer], two[:of_a_layer], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@every_model
def test_dropout_is_on_what_each_layer_gives_and_its_state_is_kept(config):
    model = build_one(replace(config, dropout=0.25))
    dropouts = [layer for layer in model.layers if type(layer).__name__ == "Dropout"]
    assert len(dropouts) == 2
    seeds = [int(layer.seed_generator.state.value[0]) for layer in dropouts]
    assert len(set(seeds)) == 2
    assert len(variables_of(model)) == len(model.weights) + 2
    np.testing.assert_array_equal(model(X, training=False), build_one(config)(X))


@pytest.mark.parametrize("name", ["lstm both ways", "gru both ways"])
def test_both_ways_sees_a_sequence_and_its_reverse_with_the_directions_exchanged(name):
    config = replace(CONFIGS[name], n_layers=1)
    layer = build_one(config).layers[0]
    layer_of_reverse = build_one(config).layers[0]
    forward, backward = layer.forward.get_weights(), layer.backward.get_weights()
    layer_of_reverse.forward.set_weights(backward)
    layer_of_reverse.backward.set_weights(forward)
    n = config.n_hidden
    outputs, of_reverse = np.asarray(layer(X)), np.asarray(layer_of_reverse(X[:, ::-1]))
    np.testing.assert_allclose(outputs[:, :n], of_reverse[:, n:], atol=1e-6)
    np.testing.assert_allclose(outputs[:, n:], of_reverse[:, :n], atol=1e-6)


def test_each_convolution_halves_the_steps_rounded_up():
    shapes = [layer.output.shape[1:] for layer in build_one(CONV1D).layers]
    assert shapes == [(7, 6), (4, 6), (4, 6), (2, 6), (12,), (N_CLASSES,)]
