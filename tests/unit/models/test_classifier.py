"""The classifier of each model: initial weights, seeds, dropout."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from seqsweep.config import GruConfig, LstmConfig
from seqsweep.models import build

N_HIDDEN, N_CLASSES, FEATURES = 256, 10, 28
X = np.random.default_rng(0).random((8, 4, FEATURES), np.float32)

SIZE = {"n_hidden": N_HIDDEN, "n_layers": 1, "bidirectional": False, "dropout": 0.0}
CONFIGS = {
    "lstm": LstmConfig(name="lstm", **SIZE, forget_bias=1.0, products="float32"),
    "gru": GruConfig(name="gru", **SIZE, update_bias=1.0, reset_after=True),
}
N_GATES = {"lstm": 4, "gru": 3}
LAYERS = {"lstm": "BasicLSTM", "gru": "GRU"}
every_model = pytest.mark.parametrize("name", CONFIGS)


def build_one(name, *, seed=3, n_classes=N_CLASSES, **changes):
    config = dataclasses.replace(CONFIGS[name], **changes)
    return build(config, input_shape=X.shape[1:], n_classes=n_classes, seed=seed)


@pytest.fixture(scope="module", params=CONFIGS)
def name_and_first_weights(request):
    return request.param, build_one(request.param, n_classes=1000).get_weights()


@pytest.fixture
def first_weights(name_and_first_weights):
    return name_and_first_weights[1]


@every_model
def test_it_gives_one_logit_a_class(name):
    model = build_one(name, n_hidden=7)
    assert model.input_shape == (None, *X.shape[1:])
    assert model.output_shape == (None, N_CLASSES)
    assert np.any(np.asarray(model(X)) < 0)


def test_kernels_start_glorot_uniform_over_the_whole_kernel(name_and_first_weights):
    name, first_weights = name_and_first_weights
    columns = N_GATES[name] * N_HIDDEN
    limit = np.sqrt(6 / (FEATURES + N_HIDDEN + columns))
    for kernel, rows in zip(first_weights[:2], (FEATURES, N_HIDDEN), strict=True):
        assert kernel.shape == (rows, columns)
        assert 0.99 * limit < np.abs(kernel).max() <= np.float32(limit)
        assert np.std(kernel) == pytest.approx(limit / np.sqrt(3), rel=0.02)
        assert np.mean(kernel) == pytest.approx(0, abs=0.02 * limit)


@pytest.mark.parametrize("forget_bias", [1.0, 0.0, -2.5])
def test_biases_start_at_zero_but_for_the_forget_gate(forget_bias):
    bias = build_one("lstm", n_hidden=3, forget_bias=forget_bias).get_weights()[2]
    np.testing.assert_array_equal(bias, [0] * 3 + [forget_bias] * 3 + [0] * 6)


@pytest.mark.parametrize("update_bias", [1.0, 0.0, -2.5])
def test_biases_start_at_zero_but_for_the_update_gate(update_bias):
    first = [update_bias] * 3 + [0] * 6
    changes = {"n_hidden": 3, "update_bias": update_bias}
    one_row = build_one("gru", reset_after=False, **changes).get_weights()[2]
    np.testing.assert_array_equal(one_row, first)
    two_rows = build_one("gru", reset_after=True, **changes).get_weights()[2]
    np.testing.assert_array_equal(two_rows, [first, [0] * 9])


def test_output_weights_and_biases_start_standard_normal(first_weights):
    weight, bias = first_weights[3:]
    for drawn, shape, tolerance in ((weight, (N_HIDDEN, 1000), 0.01), (bias, (1000,), 0.1)):
        assert drawn.shape == shape
        assert np.std(drawn) == pytest.approx(1, rel=tolerance)
        assert np.mean(drawn) == pytest.approx(0, abs=tolerance)
    assert np.abs(weight).max() > 3.5, "a truncated normal would end at 2"


def test_no_two_weights_share_their_draws(first_weights):
    kernel, recurrent_kernel, _, weight, bias = first_weights
    assert not np.isin(kernel.ravel()[:100], recurrent_kernel.ravel()[:100]).any()
    assert not np.isin(bias[:100], weight.ravel()[:100]).any()


@every_model
@pytest.mark.parametrize("seed", [0, 3, 2**32 - 1])
def test_the_same_seed_gives_the_same_bits(name, seed):
    for one, other in zip(
        build_one(name, n_hidden=8, seed=seed).get_weights(),
        build_one(name, n_hidden=8, seed=seed).get_weights(),
        strict=True,
    ):
        assert one.tobytes() == other.tobytes()


@every_model
def test_another_seed_gives_other_weights(name):
    one, other = (build_one(name, seed=seed).get_weights() for seed in (3, 4))
    pairs = zip(one, other, strict=True)
    kernel, recurrent_kernel, _, weight, bias = (np.mean(one == other) for one, other in pairs)
    assert max(kernel, recurrent_kernel, weight) < 0.01
    assert bias == 0


@every_model
def test_dropout_does_not_change_the_first_weights_or_the_prediction(name):
    with_it, without_it = build_one(name, dropout=0.5), build_one(name)
    np.testing.assert_array_equal(with_it(X, training=False), without_it(X, training=False))
    np.testing.assert_array_equal(with_it(X), without_it(X))


@every_model
def test_dropout_zeroes_that_share_of_the_last_outputs_in_training(name):
    model = build_one(name, dropout=0.25)
    recurrent, dropout, _ = model.layers
    outputs = np.asarray(recurrent(X))
    dropped = np.asarray(dropout(outputs, training=True))
    assert np.mean(dropped == 0) == pytest.approx(0.25, abs=0.05)
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], outputs[kept] / 0.75, rtol=1e-6)


@every_model
def test_the_seed_decides_the_sequence_of_dropout_masks(name):
    first, second = (build_one(name, dropout=0.5, seed=3) for _ in range(2))
    other = build_one(name, dropout=0.5, seed=4)
    other.set_weights(first.get_weights())
    steps = [[np.asarray(m(X, training=True)) for _ in range(3)] for m in (first, second, other)]
    np.testing.assert_array_equal(steps[0], steps[1])
    assert np.all(steps[0][0] != steps[0][1])
    assert np.all(steps[0][0] != steps[2][0])


@every_model
def test_no_dropout_is_no_layer(name):
    layers = [type(layer).__name__ for layer in build_one(name).layers]
    assert layers == [LAYERS[name], "Dense"]
