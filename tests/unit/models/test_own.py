"""A model of the user's own is taken, or refused in one sentence that says why."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from seqsweep.config import ModelConfig, checked
from seqsweep.errors import ConfigError
from seqsweep.models import build, logits, portable, variables_of

SHAPE, N_CLASSES = (6, 5), 4
X = np.random.default_rng(0).random((8, *SHAPE), np.float32)

MODULE = """
import keras

HEAD = [keras.Input((6, 5)), keras.layers.Flatten()]


def sequential(config, input_shape, n_classes):
    return keras.Sequential([
        keras.layers.Flatten(),
        keras.layers.Dense(config.width, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(n_classes),
    ])


def functional(config, input_shape, n_classes):
    inputs = keras.Input(input_shape)
    one = keras.layers.GRU(config.width, activation="relu", recurrent_dropout=0.2)(inputs)
    other = keras.layers.LSTM(config.width)(inputs)
    both = keras.layers.BatchNormalization()(keras.layers.Concatenate()([one, other]))
    return keras.Model(inputs, keras.layers.Dense(n_classes)(both))


class Mine(keras.layers.Dense):
    pass


def squared(x):
    return x * x


def model(*layers):
    return keras.Sequential([keras.Input((6, 5)), keras.layers.Flatten(), *layers])


def holds_a_lambda(config, input_shape, n_classes):
    return model(keras.layers.Lambda(lambda x: x), keras.layers.Dense(n_classes))


def holds_a_class(config, input_shape, n_classes):
    return model(Mine(n_classes))


def holds_a_function(config, input_shape, n_classes):
    return model(keras.layers.Dense(n_classes, activation=squared))


def is_a_class(config, input_shape, n_classes):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(n_classes)

        def call(self, x):
            return self.dense(keras.ops.reshape(x, (-1, 30)))

    return Model()


def too_wide(config, input_shape, n_classes):
    return model(keras.layers.Dense(n_classes + 1))


def of_other_input(config, input_shape, n_classes):
    return keras.Sequential([keras.Input((30,)), keras.layers.Dense(n_classes)])


def probabilities(config, input_shape, n_classes):
    return model(keras.layers.Dense(n_classes, activation="softmax"))


def softmax(config, input_shape, n_classes):
    return model(keras.layers.Dense(n_classes), keras.layers.Softmax())


def half(config, input_shape, n_classes):
    return model(keras.layers.Dense(n_classes, dtype="float16"))


def fixed(config, input_shape, n_classes):
    return keras.Sequential(
        [keras.Input((6, 5)), keras.layers.GlobalMaxPooling1D(), keras.layers.Flatten(),
         keras.layers.Dense(n_classes, trainable=False)]
    )


def nothing(config, input_shape, n_classes):
    pass


def misspelt(config, input_shape, n_classes):
    return model(keras.layers.Dense(config.widht))


def changes(config, input_shape, n_classes):
    config.width = 3


def of_two(config, input_shape):
    pass


number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "user_model.py").write_text(MODULE)
    (tmp_path / "user_broken.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("user_model", None)


def build_own(target: str, *, seed: int = 3, **values) -> keras.Model:
    section = {"name": "function", "_target_": target, "width": 7, **values}
    config = checked(ModelConfig, section, prefix="model")
    return build(config, input_shape=SHAPE, n_classes=N_CLASSES, seed=seed)


@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_the_same_seed_gives_the_same_model_to_the_bit(name):
    one, same, other = (build_own(f"user_model.{name}", seed=seed) for seed in (3, 3, 4))
    for _ in range(2):  # with the masks of dropout
        outputs = [np.asarray(model(X, training=True)) for model in (one, same, other)]
        np.testing.assert_array_equal(outputs[0], outputs[1])
        assert np.abs(outputs[0] - outputs[2]).max() > 0.01


def test_other_keys_of_the_config_reach_the_function():
    assert build_own("user_model.sequential", width=11).layers[0].layers[1].units == 11
    assert build_own("user_model:sequential", width=12).layers[0].layers[1].units == 12


@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_portable_is_a_copy_that_gives_the_softmax_and_logits_undoes_that(name):
    model = build_own(f"user_model.{name}")
    model.set_weights([weight + 0.1 for weight in model.get_weights()])
    given = np.asarray(model(X))
    twin = portable(model)
    np.testing.assert_allclose(twin(X), keras.ops.softmax(given), atol=1e-6)
    np.testing.assert_allclose(logits(twin)(X), given, atol=1e-5)
    twin.set_weights([0 * weight for weight in twin.get_weights()])
    np.testing.assert_array_equal(model(X), given)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_portable_loads_in_safe_mode_where_the_users_module_is_gone(name, tmp_path):
    model = build_own(f"user_model.{name}")
    portable(model).save(tmp_path / "model.keras")
    (tmp_path / "user_model.py").unlink()
    del sys.modules["user_model"]
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(X), keras.ops.softmax(model(X)), atol=1e-6)


def test_all_that_training_changes_is_known_once():
    for name, n_weights, n_draws in (("sequential", 4, 1), ("functional", 3 + 3 + 4 + 2, 2)):
        found = variables_of(build_own(f"user_model.{name}"))
        assert len({id(variable) for variable in found}) == len(found) == n_weights + n_draws


SAID = {
    "nosuch.make": "='nosuch.make' names no function: No module named 'nosuch'; accepted is",
    "user_model.nosuch": "names no function: module 'user_model' has no attribute 'nosuch'",
    "user_model": "='user_model' is no function but of type module; accepted is package.module",
    "user_model.number": "is no function but of type int",
    "user_broken.f": "names no function: invalid syntax",
    "not a name": "names no function",
    "user_model.nothing": "=user_model.nothing gives a NoneType: a keras.Model is expected",
    "user_model.misspelt": "user_model.py: ConfigAttributeError: Key 'widht' is not in struct",
    "user_model.changes": "Cannot change read-only config",
    "user_model.of_two": "failed: TypeError: of_two() takes 2 positional arguments but 3 were",
    "user_model.too_wide": "its model gives (None, 5): (None, 4) is expected",
    "user_model.of_other_input": "its model takes (None, 30): (None, 6, 5) is expected",
    "user_model.probabilities": "its model ends in a softmax: logits, without an activation, are",
    "user_model.softmax": "its model ends in a softmax",
    "user_model.half": "its model gives float16: float32 is expected",
    "user_model.fixed": "its model has nothing to train",
    "user_model.holds_a_lambda": "holds code of its own, a Lambda, and could not be loaded",
    "user_model.holds_a_class": "holds code of its own, user_model.Mine, and",
    "user_model.holds_a_function": "holds code of its own, a function squared, and",
    "user_model.is_a_class": "holds code of its own",
}


@pytest.mark.parametrize(("target", "said"), SAID.items())
def test_a_model_that_cannot_be_trained_is_one_sentence(target, said):
    with pytest.raises(ConfigError) as caught:
        build_own(target)
    message = str(caught.value)
    assert message.startswith("model._target_=")
    assert said in message
    assert "\n" not in message
