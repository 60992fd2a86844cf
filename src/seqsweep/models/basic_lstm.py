"""An LSTM layer that trains faster on a CPU than keras.layers.LSTM and has the same weights."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqsweep.models.kernels import glorot_kernels


class BasicLSTM(keras.layers.Layer):
    """The last output of an LSTM: (batch, steps, features) in, (batch, units) out.

    The weights have the names, shapes and gate order (i, f, c, o) of keras.layers.LSTM. They start
    as those of TensorFlow 1's `BasicLSTMCell`: Glorot uniform over the whole
    [features + units, 4·units] kernel, biases zero but for the forget gate's.
    """

    def __init__(self, units: int, *, forget_bias: float, seed: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.forget_bias = forget_bias
        self.seed = seed

    def build(self, input_shape: tuple[int | None, int, int]) -> None:
        """Makes the weights."""
        features, n = input_shape[-1], self.units
        above, below = glorot_kernels(features, n, 4, seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=(features, 4 * n), initializer=above)
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(n, 4 * n), initializer=below
        )
        self.bias = self.add_weight(name="bias", shape=(4 * n,), initializer=self._first_bias)

    def _first_bias(self, shape: tuple[int], dtype: str) -> tf.Tensor:
        return tf.repeat(tf.constant([0, self.forget_bias, 0, 0], dtype), shape[0] // 4)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Gives the last output."""
        weights = (self.kernel, self.recurrent_kernel, self.bias)
        return lstm_last_output(x, *map(tf.convert_to_tensor, weights))

    def compute_output_shape(self, input_shape: tuple[int | None, int, int]) -> tuple:
        """Gives (batch, units); without it Keras traces all the steps only to learn this."""
        return (input_shape[0], self.units)


@tf.custom_gradient
def lstm_last_output(
    x: tf.Tensor, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor
) -> tf.Tensor:
    """Gives the last output of an LSTM that starts from zeros, (batch, n).

    A sample is a column here, not a row: then the four gates are blocks of rows, which a split
    leaves where they are, and no product of the loops transposes a factor, which would cost twice
    the time. Written for a CPU; `docs/performance.md` has the figures.

    Args:
        x: (batch, steps, features), all but the batch known when traced.
        kernel: (features, 4n), the gates in the order i, f, c, o.
        recurrent_kernel: (n, 4n), likewise.
        bias: (4n,), likewise.
    """
    steps, features = x.shape[1:]  # T, F
    batch, n = tf.shape(x)[0], recurrent_kernel.shape[0]  # B, n
    rows = tf.constant(0)  # the axis, once: a literal is a node of its own in every step

    weights = _transposed(tf.concat([kernel, bias[None], recurrent_kernel], rows))  # [4n, F+1+n]
    ones = tf.ones([steps, 1, batch], x.dtype)
    x1 = tf.concat([tf.transpose(x, [1, 2, 0]), ones], axis=1)  # [T, F+1, B]

    h = c = tf.zeros([n, batch], x.dtype)  # [n, B]
    kept = []
    for x1_t in tf.unstack(x1):
        x1h = tf.concat([x1_t, h], rows)  # [F+1+n, B]
        z = weights @ x1h  # [4n, B]
        i, f, g, o = tf.raw_ops.Split(axis=rows, value=z, num_split=4)  # [n, B] each
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        c_before, c = c, f * c + i * g  # [n, B]
        tanh_c = tf.tanh(c)
        h = o * tanh_c  # [n, B]
        kept.append((x1h, i, f, g, o, c_before, tanh_c))

    def gradient(d_last: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        sigmoid_grad, tanh_grad = tf.raw_ops.SigmoidGrad, tf.raw_ops.TanhGrad
        dh = tf.transpose(d_last)  # [n, B]
        dc = tf.zeros_like(dh)
        dzs = []  # gradients before the activations, last step first
        for _, i, f, g, o, c_before, tanh_c in reversed(kept):
            dc += tanh_grad(y=tanh_c, dy=dh * o)  # [n, B]
            di = sigmoid_grad(y=i, dy=dc * g)
            df = sigmoid_grad(y=f, dy=dc * c_before)
            dg = tanh_grad(y=g, dy=dc * i)
            do = sigmoid_grad(y=o, dy=dh * tanh_c)
            dzs.append(tf.concat([di, df, dg, do], rows))  # [4n, B]
            dh = recurrent_kernel @ dzs[-1]  # [n, B]
            dc *= f

        dz = tf.concat(dzs[::-1], axis=1)  # [4n, T·B]
        inputs = tf.concat([x1h for x1h, *_ in kept], axis=1)  # [F+1+n, T·B]
        d_weights = tf.transpose(tf.matmul(dz, inputs, transpose_b=True))  # [F+1+n, 4n]
        d_kernel, d_bias, d_recurrent = tf.split(d_weights, [features, 1, n])
        dx = tf.reshape(kernel @ dz, [features, steps, batch])  # pruned where nobody asks for it
        return tf.transpose(dx, [2, 1, 0]), d_kernel, d_recurrent, d_bias[0]

    return tf.transpose(h), gradient


def _transposed(weights: tf.Tensor) -> tf.Tensor:
    """Gives (m, 4n) as (4n, m), by a transpose of three axes.

    TensorFlow folds a transpose of two into the products after it, where each of them pays: 41
    instead of 84 GFLOP/s at n = 256.
    """
    m, gates = weights.shape
    return tf.reshape(tf.transpose(tf.reshape(weights, [m, 4, gates // 4]), [1, 2, 0]), [gates, m])
