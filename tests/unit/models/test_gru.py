"""The layer against the equations of both forms of the GRU, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from seqsweep.config import GruConfig
from seqsweep.models.gru import make_gru

# batch, steps, features, n_hidden
SHAPES = [(3, 5, 4, 6), (1, 4, 3, 2), (3, 1, 2, 4), (2, 3, 4, 1), (4, 2, 1, 3), (1, 1, 1, 1)]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gru_last_output(x, kernel, recurrent_kernel, bias, *, reset_after):
    """The last output of a GRU that starts from zeros.

    Reset before the product: equations 5 to 8 of https://arxiv.org/abs/1406.1078v3. Reset after
    it: those of https://arxiv.org/abs/1406.1078v1, and the product has a bias of its own.
    Weights lie as Keras lays them out, the gates in the order z, r, candidate.
    """
    w_z, w_r, w_h = np.split(kernel, 3, axis=1)
    u_z, u_r, u_h = np.split(recurrent_kernel, 3, axis=1)
    of_x, of_h = bias if reset_after else (bias, 0 * bias)
    b_z, b_r, b_h = np.split(of_x, 3)
    c_z, c_r, c_h = np.split(of_h, 3)
    h = np.zeros((len(x), len(u_z)))
    for t in range(x.shape[1]):
        z = sigmoid(x[:, t] @ w_z + h @ u_z + b_z + c_z)
        r = sigmoid(x[:, t] @ w_r + h @ u_r + b_r + c_r)
        reset = r * (h @ u_h + c_h) if reset_after else (r * h) @ u_h
        h = z * h + (1 - z) * np.tanh(x[:, t] @ w_h + reset + b_h)
    return h


def config(n_hidden, *, update_bias=1.0, reset_after=True):
    return GruConfig(
        name="gru",
        n_hidden=n_hidden,
        n_layers=1,
        bidirectional=False,
        update_bias=update_bias,
        reset_after=reset_after,
        dropout=0.0,
    )


def layer_and_input(shape, *, reset_after):
    batch, steps, features, n = shape
    layer = make_gru(config(n, reset_after=reset_after), features=features, seed=0)
    layer.build((None, steps, features))
    rng = np.random.default_rng(sum(shape))
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer, rng.normal(size=(batch, steps, features)).astype(np.float32)


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_the_last_output_is_that_of_the_published_equations(shape, reset_after):
    layer, x = layer_and_input(shape, reset_after=reset_after)
    weights = [weight.astype(np.float64) for weight in layer.get_weights()]
    expected = gru_last_output(x.astype(np.float64), *weights, reset_after=reset_after)
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=1e-5)


def test_the_two_forms_differ_where_there_is_a_state_to_reset():
    (after, x), (before, _) = (
        layer_and_input((3, 5, 4, 6), reset_after=reset_after) for reset_after in (True, False)
    )
    kernel, recurrent_kernel, bias = before.get_weights()
    after.set_weights([kernel, recurrent_kernel, np.stack([bias, 0 * bias])])
    assert np.abs(np.asarray(after(x)) - np.asarray(before(x))).max() > 0.01
    np.testing.assert_allclose(after(x[:, :1]), before(x[:, :1]), rtol=0, atol=1e-6)


def test_a_large_update_bias_keeps_the_state_where_it_starts():
    layer = make_gru(config(5, update_bias=20.0), features=3, seed=0)
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    assert np.abs(np.asarray(layer(x))).max() < 1e-6
