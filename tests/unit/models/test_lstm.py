"""The LSTM of a GPU is that of the CPU, in the form that cuDNN takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.tensorflow.rnn import _do_lstm_arguments_support_cudnn

from seqsweep import models
from seqsweep.config import LstmConfig

CONFIG = LstmConfig(name="lstm", n_hidden=6, forget_bias=0.7, products="float32", dropout=0.3)
STEPS, FEATURES = 9, 5


def made_for(device: str) -> keras.Model:
    return models.build(CONFIG, input_shape=(STEPS, FEATURES), n_classes=3, seed=4, device=device)


def cudnn_takes(layer: keras.layers.LSTM) -> bool:
    """Asks Keras' own predicate, but for whether there is a GPU."""
    return not layer.cell.recurrent_dropout and _do_lstm_arguments_support_cudnn(
        activation=layer.activation,
        recurrent_activation=layer.recurrent_activation,
        unroll=layer.unroll,
        use_bias=layer.use_bias,
    )


def test_keras_takes_cudnn_for_the_layer_of_a_gpu():
    layer = made_for("gpu").layers[0]
    assert isinstance(layer, keras.layers.LSTM)
    assert layer.use_cudnn == "auto"
    assert cudnn_takes(layer)
    assert not cudnn_takes(keras.layers.LSTM(6, activation="relu"))  # the predicate can say no


def test_on_either_device_the_same_seed_starts_the_same_weights():
    on_cpu, on_gpu = (made_for(device).get_weights() for device in ("cpu", "gpu"))
    for mine, other in zip(on_cpu, on_gpu, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_on_either_device_outputs_and_gradients_are_the_same():
    x = np.random.default_rng(0).random((7, STEPS, FEATURES), np.float32)
    told = []
    for device in ("cpu", "gpu"):
        model = made_for(device)
        with tf.GradientTape() as tape:
            logits = model(x, training=False)
            loss = tf.reduce_sum(logits**2)
        told.append([logits, *tape.gradient(loss, model.trainable_variables)])
    for mine, other in zip(*told, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)


def test_what_training_changes_of_one_can_go_on_in_the_other():
    on_cpu, on_gpu = made_for("cpu"), made_for("gpu")
    mine, others = models.variables_of(on_cpu), models.variables_of(on_gpu)
    assert [v.shape for v in mine] == [v.shape for v in others]
    assert len(mine) == 3 + 2 + 1  # the LSTM, the linear layer, dropout's state
    x = np.ones((4, STEPS, FEATURES), np.float32)
    on_cpu(x, training=True)  # draws
    for variable, value in zip(others, mine, strict=True):
        variable.assign(value.value)
    drawn = [model(x, training=True) for model in (on_cpu, on_gpu)]
    np.testing.assert_allclose(*drawn, rtol=1e-5, atol=1e-5)


def test_either_saves_as_the_same_plain_model():
    x = np.random.default_rng(0).random((4, STEPS, FEATURES), np.float32)
    plain = [models.portable(made_for(device)) for device in ("cpu", "gpu")]
    kinds = [[type(layer) for layer in model.layers] for model in plain]
    assert kinds[0] == kinds[1] == [keras.layers.LSTM, *kinds[0][1:]]
    np.testing.assert_array_equal(*(model(x) for model in plain))


@pytest.mark.gpu
@pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="needs a GPU")
def test_on_a_gpu_cudnns_kernel_runs():
    model = made_for("gpu")
    spec = tf.TensorSpec((2, STEPS, FEATURES))
    graph = tf.function(lambda x: model(x, training=True)).get_concrete_function(spec).graph
    functions = [graph, *(f.graph for f in graph._functions.values() if hasattr(f, "graph"))]
    assert any(op.type.startswith("CudnnRNN") for g in functions for op in g.get_operations())
