"""An LSTM layer that trains faster on a CPU than keras.layers.LSTM and has the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf
from tensorflow import raw_ops as raw

from seqsweep.models.kernels import glorot_kernels

TOGETHER = 7  # steps whose share of the weights' gradient is one product


class BasicLSTM(keras.layers.Layer):
    """An LSTM: (batch, steps, features) in, its last output (batch, units) out, or all of them.

    With `return_sequences` all outputs come out, (batch, steps, units); with `go_backwards` the
    last step is read first, and its output stands first. Both are as in keras.layers.LSTM.

    The weights have the names, shapes and gate order (i, f, c, o) of keras.layers.LSTM. They start
    as those of TensorFlow 1's `BasicLSTMCell`: Glorot uniform over the whole
    [features + units, 4·units] kernel, biases zero but for the forget gate's. While it trains, the
    factors of its matrix products are of the type `products`.
    """

    def __init__(
        self,
        units: int,
        *,
        forget_bias: float,
        seed: int,
        products: str = "float32",
        return_sequences: bool = False,
        go_backwards: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.forget_bias = forget_bias
        self.seed = seed
        self.products = tf.as_dtype(products)
        self.return_sequences = return_sequences
        self.go_backwards = go_backwards

    def build(self, input_shape: tuple[int | None, int, int]) -> None:
        """Makes the weights."""
        features, n = input_shape[-1], self.units
        above, below = glorot_kernels(features, n, 4, seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=(features, 4 * n), initializer=above)
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(n, 4 * n), initializer=below
        )
        bias = first_bias(self.forget_bias)
        self.bias = self.add_weight(name="bias", shape=(4 * n,), initializer=bias)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Gives the last output, or all."""
        weights = (self.kernel, self.recurrent_kernel, self.bias)
        return lstm_output(
            tf.reverse(x, [1]) if self.go_backwards else x,
            *map(tf.convert_to_tensor, weights),
            products=self.products if training else None,
            return_sequences=self.return_sequences,
        )

    def compute_output_shape(self, input_shape: tuple[int | None, int, int]) -> tuple:
        """Gives the output's; without it Keras traces all the steps only to learn this."""
        steps = input_shape[1:2] if self.return_sequences else ()
        return (input_shape[0], *steps, self.units)


def first_bias(of_forget_gate: float) -> Callable[..., tf.Tensor]:
    """Gives the initialiser of the biases, zero but for the forget gate's."""

    def bias(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
        return tf.repeat(tf.constant([0, of_forget_gate, 0, 0], dtype), shape[0] // 4)

    return bias


def lstm_output(
    x: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    *,
    products: tf.DType | None = None,
    return_sequences: bool = False,
) -> tf.Tensor:
    """Gives the last output of an LSTM that starts from zeros, (batch, n), or all of them.

    A sample is a column here, not a row: then the four gates are blocks of rows, which a split
    leaves where they are, and no product of the loops transposes a factor, which would cost twice
    the time. Written for a CPU; `docs/performance.md` has the figures.

    Args:
        x: (batch, steps, features), all but the batch known when traced.
        kernel: (features, 4n), the gates in the order i, f, c, o.
        recurrent_kernel: (n, 4n), likewise.
        bias: (4n,), likewise.
        products: the type of the factors of matrix products, that of `x` where it is None. All
            else, as the state and the sums over steps, stays in the type of `x`.
        return_sequences: whether to give the outputs of all steps, (batch, steps, n).
    """
    products = products or x.dtype

    @tf.custom_gradient
    def output(
        x: tf.Tensor, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor
    ) -> tf.Tensor:
        weights = _transposed(tf.concat([kernel, bias[None], recurrent_kernel], 0))
        hs, kept = _forward(x, tf.cast(weights, products))

        def gradient(d_output: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            recurrent = tf.cast(recurrent_kernel, products)
            if return_sequences:
                dhs = tf.unstack(tf.transpose(d_output, [1, 2, 0]))
            else:
                dhs = [*[None] * (len(kept) - 1), tf.transpose(d_output)]
            d_weights, dzs = _backward(dhs, recurrent, kept)
            sizes = [kernel.shape[0], 1, recurrent_kernel.shape[0]]
            d_kernel, d_bias, d_recurrent = tf.split(tf.transpose(d_weights), sizes)
            dz = tf.concat(dzs, 1)  # [4n, T·B]
            dx = raw.MatMul(a=tf.cast(kernel, products), b=dz)  # pruned where nobody asks for it
            dx = tf.reshape(tf.cast(dx, x.dtype), [sizes[0], len(kept), -1])  # [F, T, B]
            return tf.transpose(dx, [2, 1, 0]), d_kernel, d_recurrent, d_bias[0]

        if return_sequences:
            return tf.transpose(tf.stack(hs), [2, 0, 1]), gradient
        return tf.transpose(hs[-1]), gradient

    return output(x, kernel, recurrent_kernel, bias)


class _Step(NamedTuple):
    """What the gradient needs of a step, columns are samples."""

    inputs: tf.Tensor  # [F+1+n, B]: the row of the image, 1, the last output; of the products' type
    i: tf.Tensor  # [n, B], as all below
    f: tf.Tensor
    g: tf.Tensor
    o: tf.Tensor
    c_before: tf.Tensor
    tanh_c: tf.Tensor


def _forward(x: tf.Tensor, weights: tf.Tensor) -> tuple[list[tf.Tensor], list[_Step]]:
    """Gives the output [n, B] and what was kept of each step; `weights` is [4n, F+1+n]."""
    steps, batch, n = x.shape[1], tf.shape(x)[0], weights.shape[0] // 4
    products = weights.dtype
    ones = tf.ones([steps, 1, batch], products)
    x1 = tf.concat([tf.cast(tf.transpose(x, [1, 2, 0]), products), ones], axis=1)  # [T, F+1, B]
    rows = tf.constant(0)  # the axis, once: a literal is a node of its own in every step
    h = c = tf.zeros([n, batch], x.dtype)
    hs, kept = [], []
    for x1_t in tf.unstack(x1):
        x1h = tf.concat([x1_t, tf.cast(h, products)], rows)  # [F+1+n, B]
        z = tf.cast(raw.MatMul(a=weights, b=x1h), x.dtype)  # [4n, B]
        i, f, g, o = raw.Split(axis=rows, value=z, num_split=4)  # [n, B] each
        i, f, g, o = raw.Sigmoid(x=i), raw.Sigmoid(x=f), raw.Tanh(x=g), raw.Sigmoid(x=o)
        c_before, c = c, f * c + i * g
        tanh_c = raw.Tanh(x=c)
        h = o * tanh_c
        hs.append(h)
        kept.append(_Step(x1h, i, f, g, o, c_before, tanh_c))
    return hs, kept


def _backward(
    dhs: list[tf.Tensor | None], recurrent_kernel: tf.Tensor, kept: list[_Step]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Gives the gradients of the weights, [4n, F+1+n], and before the activations, [4n, B] a step.

    `dhs` are those of the outputs, [n, B] a step, None where an output leads nowhere but on. The
    weights' are products over `TOGETHER` steps: their factors are still in the cache then.
    """
    products, rows = recurrent_kernel.dtype, tf.constant(0)
    dh = dhs[-1]
    dc = tf.zeros_like(dh)
    dzs: list[tf.Tensor] = []  # last step first
    d_weights = []
    for t, step in reversed(list(enumerate(kept))):
        dc += raw.TanhGrad(y=step.tanh_c, dy=dh * step.o)  # [n, B]
        di = raw.SigmoidGrad(y=step.i, dy=dc * step.g)
        df = raw.SigmoidGrad(y=step.f, dy=dc * step.c_before)
        dg = raw.TanhGrad(y=step.g, dy=dc * step.i)
        do = raw.SigmoidGrad(y=step.o, dy=dh * step.tanh_c)
        dzs.append(tf.cast(tf.concat([di, df, dg, do], rows), products))  # [4n, B]
        dh = tf.cast(raw.MatMul(a=recurrent_kernel, b=dzs[-1]), dh.dtype)  # [n, B]
        if t > 0 and dhs[t - 1] is not None:
            dh += dhs[t - 1]
        dc *= step.f
        if t % TOGETHER == 0:
            some = kept[t : t + TOGETHER]
            dz = tf.concat(dzs[: -len(some) - 1 : -1], 1)  # [4n, TOGETHER·B]
            inputs = tf.concat([step.inputs for step in some], 1)  # [F+1+n, TOGETHER·B]
            d_weights.append(tf.cast(raw.MatMul(a=dz, b=inputs, transpose_b=True), dh.dtype))
    return tf.add_n(d_weights), dzs[::-1]


def _transposed(weights: tf.Tensor) -> tf.Tensor:
    """Gives (m, 4n) as (4n, m), by a transpose of three axes.

    TensorFlow folds a transpose of two into the products after it, where each of them pays: 41
    instead of 84 GFLOP/s at n = 256.
    """
    m, gates = weights.shape
    return tf.reshape(tf.transpose(tf.reshape(weights, [m, 4, gates // 4]), [1, 2, 0]), [gates, m])
