"""The layer's one function against two others: BasicLSTMCell in NumPy, keras.layers.LSTM."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqsweep.models.basic_lstm import BasicLSTM, lstm_output

FORGET_BIAS = 0.7

# batch, steps, features, n_hidden
SHAPES = [
    (3, 5, 4, 6),
    (1, 4, 3, 2),
    (3, 1, 2, 4),
    (2, 3, 4, 1),
    (4, 2, 1, 3),
    (1, 1, 1, 1),
    (2, 16, 3, 2),
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def basic_lstm_cell(x, kernel, bias):
    """The last output as TensorFlow 1 computed it.

    https://github.com/tensorflow/tensorflow/blob/v1.15.0/tensorflow/python/ops/rnn_cell_impl.py#L785
    `kernel` is (features + n, 4n), `bias` (4n,), the gates in the order i, j, f, o.
    """
    n = kernel.shape[1] // 4
    c = h = np.zeros((len(x), n))
    for t in range(x.shape[1]):
        i, j, f, o = np.split(np.concatenate([x[:, t], h], 1) @ kernel + bias, 4, axis=1)
        c = c * sigmoid(f + FORGET_BIAS) + sigmoid(i) * np.tanh(j)
        h = np.tanh(c) * sigmoid(o)
    return h


def basic_lstm_cell_from(x, kernel, recurrent_kernel, bias):
    """The same, from weights laid out as Keras lays them out."""
    i, f, c, o = np.split(np.concatenate([kernel, recurrent_kernel, bias[None]]), 4, axis=1)
    f = np.concatenate([f[:-1], f[-1:] - FORGET_BIAS])
    weights = np.concatenate([i, c, f, o], axis=1)
    return basic_lstm_cell(x, weights[:-1], weights[-1])


def random_arguments(shape, dtype=np.float64):
    batch, steps, features, n = shape
    rng = np.random.default_rng(sum(shape))
    shapes = [(batch, steps, features), (features, 4 * n), (n, 4 * n), (4 * n,)]
    direction = rng.normal(size=(batch, n)).astype(dtype)
    return [rng.normal(size=size).astype(dtype) for size in shapes], direction


def gradients_along(direction, function, arguments):
    """The gradients of sum(direction · function(*arguments))."""
    arguments = [tf.constant(argument) for argument in arguments]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        score = tf.reduce_sum(direction * function(*arguments))
    return tape.gradient(score, arguments)


def central_differences(function, argument, step=1e-5):
    """The gradient of the scalar `function` at `argument`, to about 1e-9."""
    result = np.empty_like(argument)
    for place in np.ndindex(argument.shape):
        ends = []
        for sign in (1, -1):
            moved = argument.copy()
            moved[place] += sign * step
            ends.append(function(moved))
        result[place] = (ends[0] - ends[1]) / (2 * step)
    return result


@every_shape
def test_the_last_output_is_that_of_basic_lstm_cell(shape):
    arguments, _ = random_arguments(shape)
    np.testing.assert_allclose(
        lstm_output(*map(tf.constant, arguments)),
        basic_lstm_cell_from(*arguments),
        rtol=0,
        atol=1e-12,
    )


@every_shape
def test_gradients_are_the_slopes_of_basic_lstm_cell(shape):
    arguments, direction = random_arguments(shape)
    gradients = gradients_along(direction, lstm_output, arguments)
    for position, gradient in enumerate(gradients):

        def score(moved, position=position):
            at = [*arguments[:position], moved, *arguments[position + 1 :]]
            return np.sum(direction * basic_lstm_cell_from(*at))

        slopes = central_differences(score, arguments[position])
        np.testing.assert_allclose(gradient, slopes, rtol=0, atol=1e-8)


@every_shape
def test_gradients_are_those_through_keras_lstm(shape):
    arguments, direction = random_arguments(shape)
    x, *weights = arguments
    layer = keras.layers.LSTM(shape[-1], dtype="float64")
    layer.build(x.shape)
    layer.set_weights(weights)
    sequences = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(sequences)
        score = tf.reduce_sum(direction * layer(sequences))
    through_keras = tape.gradient(score, [sequences, *(w.value for w in layer.weights)])
    gradients = gradients_along(direction, lstm_output, arguments)
    for gradient, expected in zip(gradients, through_keras, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-5)])
@every_shape
def test_all_outputs_and_the_gradients_through_them_are_those_of_keras_lstm(shape, dtype, atol):
    batch, steps, _, n = shape
    (x, *weights), _ = random_arguments(shape, np.dtype(dtype))
    direction = np.random.default_rng(1).normal(size=(batch, steps, n)).astype(dtype)
    layer = keras.layers.LSTM(n, dtype=dtype, return_sequences=True)
    layer.build(x.shape)
    layer.set_weights(weights)
    sequences = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(sequences)
        outputs = layer(sequences)
        score = tf.reduce_sum(direction * outputs)
    through_keras = tape.gradient(score, [sequences, *(w.value for w in layer.weights)])

    def all_outputs(*arguments):
        return lstm_output(*arguments, return_sequences=True)

    np.testing.assert_allclose(all_outputs(x, *weights), outputs, rtol=0, atol=atol)
    gradients = gradients_along(direction, all_outputs, [x, *weights])
    for gradient, expected in zip(gradients, through_keras, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=10 * atol, atol=10 * atol)


@pytest.mark.parametrize("return_sequences", [True, False])
def test_a_layer_that_goes_backwards_is_that_of_keras(return_sequences):
    flags = {"return_sequences": return_sequences, "go_backwards": True}
    ours = BasicLSTM(5, forget_bias=1.0, seed=0, **flags)
    theirs = keras.layers.LSTM(5, **flags)
    x = np.random.default_rng(0).random((4, 6, 3), np.float32)
    for layer in (ours, theirs):
        layer.build(x.shape)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), rtol=0, atol=1e-6)
    assert ours.compute_output_shape(x.shape) == theirs.compute_output_shape(x.shape)


def test_float32_gives_float32_close_to_float64():
    arguments, direction = random_arguments((3, 28, 28, 16))
    narrow = [argument.astype(np.float32) for argument in arguments]
    output = lstm_output(*map(tf.constant, narrow))
    assert output.dtype == tf.float32
    np.testing.assert_allclose(output, lstm_output(*map(tf.constant, arguments)), rtol=0, atol=1e-4)
    for gradient in gradients_along(direction.astype(np.float32), lstm_output, narrow):
        assert gradient.dtype == tf.float32


def test_one_trace_serves_every_batch_size():
    arguments, _ = random_arguments((5, 3, 4, 2))
    x, *weights = map(tf.constant, arguments)
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((None, 3, 4), tf.float64)])
    def output_and_slope(x):
        traces.append(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = lstm_output(x, *weights)
        return output, tape.gradient(output, x)

    whole = output_and_slope(x)
    for size in (1, 2, 5):
        for part, all_of_it in zip(output_and_slope(x[:size]), whole, strict=True):
            np.testing.assert_allclose(part, all_of_it[:size], rtol=0, atol=1e-12)
    assert len(traces) == 1


def test_in_a_graph_it_computes_what_it_computes_eagerly():
    arguments, direction = random_arguments((3, 4, 5, 6))
    in_a_graph = gradients_along(direction, tf.function(lstm_output), arguments)
    for eager, graph in zip(
        gradients_along(direction, lstm_output, arguments), in_a_graph, strict=True
    ):
        np.testing.assert_allclose(graph, eager, rtol=0, atol=1e-12)


def test_weights_have_the_names_shapes_and_order_of_keras_lstm():
    ours, theirs = BasicLSTM(5, forget_bias=1.0, seed=0), keras.layers.LSTM(5)
    for layer in (ours, theirs):
        layer.build((None, 4, 3))
    described = [[(w.path.rsplit("/")[-1], w.shape) for w in x.weights] for x in (ours, theirs)]
    assert described[0] == described[1]
    assert ours.compute_output_shape((None, 4, 3)) == theirs.compute_output_shape((None, 4, 3))


def test_products_of_bfloat16_change_output_and_gradients_by_its_rounding_alone():
    arguments, direction = random_arguments((8, 28, 28, 16), np.float32)
    arguments[1:] = [argument / 4 for argument in arguments[1:]]  # as after Glorot's start

    def rounded(*arguments):
        return lstm_output(*arguments, products=tf.bfloat16)

    exact, narrow = (f(*map(tf.constant, arguments)) for f in (lstm_output, rounded))
    assert narrow.dtype == tf.float32
    assert 1e-5 < np.abs(narrow - exact).max() < 0.05
    for gradient, expected in zip(
        gradients_along(direction, rounded, arguments),
        gradients_along(direction, lstm_output, arguments),
        strict=True,
    ):
        assert gradient.dtype == tf.float32
        error = np.linalg.norm(gradient - expected) / np.linalg.norm(expected)
        assert 1e-4 < error < 0.03


def test_only_training_rounds_its_products():
    x = np.random.default_rng(0).random((4, 5, 3), np.float32)
    layers = {
        products: BasicLSTM(6, forget_bias=1.0, seed=0, products=products)
        for products in ("float32", "bfloat16")
    }
    exact, narrow = layers["float32"], layers["bfloat16"]
    np.testing.assert_array_equal(narrow(x), exact(x))
    np.testing.assert_array_equal(exact(x, training=True), exact(x))
    assert np.abs(narrow(x, training=True) - exact(x)).max() > 1e-5
