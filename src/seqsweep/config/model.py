"""`model`: what is trained."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seqsweep.config.values import TARGET, Count, Flag, Fraction, Number, frozen


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
