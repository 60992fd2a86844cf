"""How composed values become typed ones, and what is said of those that cannot."""

from __future__ import annotations

from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from seqsweep.config.trial import Config
from seqsweep.config.values import TARGET
from seqsweep.errors import ConfigError

T = TypeVar("T")

NAMED = {"data", "model"}  # the sections of Config whose name decides what their keys are
WANTED = {
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
    if (key := error.full_key) in WANTED:
        what, form = WANTED[key]
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
    if len(words) > 1 and words[0] in NAMED:
        return [words[0], *words[2:]], f"{words[0]}={words[1]}"
    return words, ""
