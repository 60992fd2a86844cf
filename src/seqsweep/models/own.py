"""A model of the user's own: made by his function, checked before it trains."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
from omegaconf import OmegaConf

from seqsweep.config import TARGET, ModelFunctionConfig
from seqsweep.errors import ConfigError, first_line
from seqsweep.named import call, function_named

KEY = f"model.{TARGET}"


def make_own(
    config: ModelFunctionConfig, *, input_shape: tuple[int, int], n_classes: int, seed: int
) -> keras.Model:
    """Calls the user's function and gives its model, which it makes the same for the same seed.

    The function gets the other keys of the config, the shape (steps, features) and `n_classes`.
    The seed is that of Python, NumPy and TensorFlow, from which Keras draws.

    Raises:
        ConfigError: there is no such function, it failed, or its model cannot be trained here.
    """
    function = function_named(config.target, key=KEY)
    what = f"{KEY}={config.target}"
    values = OmegaConf.create(config.values, flags={"readonly": True, "struct": True})
    keras.utils.set_random_seed(seed)
    model = call(function, values, input_shape, n_classes, what=what)
    if not isinstance(model, keras.Model):
        raise ConfigError(f"{what} gives a {type(model).__name__}: a keras.Model is expected")
    if foreign := _foreign(model):
        raise ConfigError(
            f"{what}: its model holds code of its own, {foreign}, and could not be loaded without "
            "it: layers and functions of Keras are accepted"
        )
    if not model.built:
        call(model.build, (None, *input_shape), what=f"{what}: its model's build")
    for fault in _faults(model, input_shape, n_classes):
        raise ConfigError(f"{what}: its model {fault}")
    return model


def source_of(config: ModelFunctionConfig) -> bytes:
    """Gives the file in which the function stands; nothing of what is callable and no function."""
    function = inspect.unwrap(function_named(config.target, key=KEY))
    return Path(function.__code__.co_filename).read_bytes() if inspect.isfunction(function) else b""


def _faults(model: keras.Model, input_shape: tuple[int, int], n_classes: int) -> Iterator[str]:
    for end, found, wanted in (
        ("takes", model.inputs, (None, *input_shape)),
        ("gives", model.outputs, (None, n_classes)),
    ):
        shapes = [tuple(tensor.shape) for tensor in found]
        if shapes != [wanted]:
            yield f"{end} {', '.join(map(str, shapes)) or 'nothing'}: {wanted} is expected"
    if model.outputs[0].dtype != "float32":
        yield f"gives {model.outputs[0].dtype}: float32 is expected"
    if _is_softmax(model.layers[-1]):
        yield "ends in a softmax: logits, without an activation, are expected"
    if not model.trainable_variables:
        yield "has nothing to train: a layer with weights is expected"


def _is_softmax(layer: keras.layers.Layer) -> bool:
    is_one = getattr(layer, "activation", None) is keras.activations.softmax
    return is_one or isinstance(layer, keras.layers.Softmax)


def _foreign(model: keras.Model) -> str | None:
    """Names the first thing in the model that is not Keras' own, None where all is."""
    try:
        description = keras.saving.serialize_keras_object(model)
    except Exception as error:  # a layer that cannot be written down
        return first_line(error)
    return next(_foreign_parts(description), None)


def _foreign_parts(node: Any) -> Iterator[str]:
    if isinstance(node, list | tuple):
        for value in node:
            yield from _foreign_parts(value)
    if not isinstance(node, dict):
        return
    if "class_name" in node:
        module, name = node.get("module"), node["class_name"]
        if name in ("Lambda", "__lambda__", "function"):
            yield f"a {name} {node.get('config') if name == 'function' else ''}".strip()
        elif module is not None and module.split(".")[0] != "keras":
            yield f"{module}.{name}"
    for value in node.values():
        yield from _foreign_parts(value)
