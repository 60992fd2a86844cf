"""The LSTM of a GPU is that of the CPU, in the form that cuDNN takes."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.tensorflow.rnn import _do_lstm_arguments_support_cudnn

from seqsweep import models
from seqsweep.config import LstmConfig

CONFIG = LstmConfig(
    name="lstm",
    n_hidden=6,
    n_layers=1,
    bidirectional=False,
    forget_bias=0.7,
    products="float32",
    dropout=0.3,
)
LARGE = dataclasses.replace(CONFIG, n_layers=2, bidirectional=True)
every_size = pytest.mark.parametrize("config", [CONFIG, LARGE], ids=["one layer", "two both ways"])
STEPS, FEATURES = 9, 5


def made_for(device: str, config: LstmConfig = CONFIG) -> keras.Model:
    return models.build(config, input_shape=(STEPS, FEATURES), n_classes=3, seed=4, device=device)


def cudnn_takes(layer: keras.layers.LSTM) -> bool:
    """Asks Keras' own predicate, but for whether there is a GPU."""
    return not layer.cell.recurrent_dropout and _do_lstm_arguments_support_cudnn(
        activation=layer.activation,
        recurrent_activation=layer.recurrent_activation,
        unroll=layer.unroll,
        use_bias=layer.use_bias,
    )


@every_size
def test_keras_takes_cudnn_for_the_layers_of_a_gpu(config):
    layers = [
        layer
        for layer in made_for("gpu", config)._flatten_layers()
        if isinstance(layer, keras.layers.LSTM)
    ]
    assert len(layers) == config.n_layers * (1 + config.bidirectional)
    for layer in layers:
        assert layer.use_cudnn == "auto"
        assert cudnn_takes(layer)
    assert not cudnn_takes(keras.layers.LSTM(6, activation="relu"))  # the predicate can say no


@every_size
def test_on_either_device_the_same_seed_starts_the_same_weights(config):
    on_cpu, on_gpu = (made_for(device, config).get_weights() for device in ("cpu", "gpu"))
    for mine, other in zip(on_cpu, on_gpu, strict=True):
        np.testing.assert_array_equal(mine, other)


@every_size
def test_on_either_device_outputs_and_gradients_are_the_same(config):
    x = np.random.default_rng(0).random((7, STEPS, FEATURES), np.float32)
    told = []
    for device in ("cpu", "gpu"):
        model = made_for(device, config)
        with tf.GradientTape() as tape:
            logits = model(x, training=False)
            loss = tf.reduce_sum(logits**2)
        told.append([logits, *tape.gradient(loss, model.trainable_variables)])
    for mine, other in zip(*told, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)


MIXED = {config: dataclasses.replace(config, products="bfloat16") for config in (CONFIG, LARGE)}
ROUNDING = 2.0**-8  # of bfloat16: it has 8 bits


@every_size
def test_with_products_of_bfloat16_a_gpus_layers_have_mixed_precision_and_take_cudnn(config):
    model = made_for("gpu", MIXED[config])
    layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.LSTM)]
    assert len(layers) == config.n_layers * (1 + config.bidirectional)
    assert all(cudnn_takes(layer) for layer in layers)
    assert {layer.compute_dtype for layer in layers} == {"bfloat16"}
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    x = np.random.default_rng(0).random((7, STEPS, FEATURES), np.float32)
    assert model(x).dtype == tf.float32
    for mine, other in zip(model.get_weights(), made_for("gpu", config).get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


@every_size
def test_mixed_precision_changes_outputs_and_gradients_by_its_rounding_alone(config):
    x = np.random.default_rng(0).random((7, STEPS, FEATURES), np.float32)
    told = []
    for model in (made_for("gpu", config), made_for("gpu", MIXED[config])):
        with tf.GradientTape() as tape:
            logits = model(x, training=False)
            loss = tf.reduce_sum(logits**2)
        told.append([logits, *tape.gradient(loss, model.trainable_variables)])
    for exact, rounded in zip(*told, strict=True):
        error = np.abs(np.subtract(exact, rounded)).max() / np.abs(exact).max()
        assert 0 < error < 20 * ROUNDING


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


@every_size
def test_either_saves_as_the_same_plain_model(config):
    x = np.random.default_rng(0).random((4, STEPS, FEATURES), np.float32)
    plain = [models.portable(made_for(device, config)) for device in ("cpu", "gpu")]
    kinds = [[type(layer) for layer in model.layers] for model in plain]
    first = keras.layers.Bidirectional if config.bidirectional else keras.layers.LSTM
    assert kinds[0] == kinds[1] == [first, *kinds[0][1:]]
    np.testing.assert_array_equal(*(model(x) for model in plain))


@pytest.mark.gpu
@pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="needs a GPU")
def test_on_a_gpu_cudnns_kernel_runs():
    model = made_for("gpu")
    spec = tf.TensorSpec((2, STEPS, FEATURES))
    graph = tf.function(lambda x: model(x, training=True)).get_concrete_function(spec).graph
    functions = [graph, *(f.graph for f in graph._functions.values() if hasattr(f, "graph"))]
    assert any(op.type.startswith("CudnnRNN") for g in functions for op in g.get_operations())
