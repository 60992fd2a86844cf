"""Objects of classes that the config names, as Optuna's samplers, from arguments that are checked.

Optuna itself takes any type and trips over a wrong one trials later.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from hydra.utils import get_class
from optuna.samplers import GPSampler
from pydantic import ConfigDict, TypeAdapter, ValidationError

from seqsweep.errors import SearchError, first_line

TARGET = "_target_"
NEEDS = {GPSampler: "torch"}  # what Optuna imports only when it has trials to learn from
STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)


def class_of(config: Mapping[str, Any], base: type, key: str) -> type:
    """Gives the class that `config`, which stands at `key`, names.

    Raises:
        SearchError: it names none, or one that is no `base`.
    """
    target = config.get(TARGET)
    try:
        kind = get_class(target)
    except Exception as error:
        raise SearchError(f"{key}.{TARGET}={target!r} names no class") from error
    if not issubclass(kind, base):
        raise SearchError(f"{key}.{TARGET}={target!r} is no {base.__name__}")
    return kind


def build(config: Mapping[str, Any], base: type, key: str) -> Any:
    """Builds what `config` describes, and first what it holds that has a `_target_` too.

    Raises:
        SearchError: an argument is unknown, missing or of a wrong type, or the class refuses it.
    """
    kind = class_of(config, base, key)
    arguments = {
        name: build(value, object, f"{key}.{name}") if is_target(value) else value
        for name, value in config.items()
        if name != TARGET
    }
    _check(kind, arguments, key)
    package = NEEDS.get(kind)
    if package is not None and find_spec(package) is None:
        raise SearchError(
            f"{key} {kind.__name__} needs {package}, which is not installed: pip install {package}"
        )
    try:
        return kind(**arguments)
    except Exception as error:
        why = first_line(error)
        raise SearchError(f"{key} {kind.__name__} cannot be built: {why}") from error


def deal(
    config: Mapping[str, Any], seed: Callable[[type, int | None], int | None], key: str
) -> Any:
    """Gives `config` with each seed in it, by class and its own one, as the function says."""
    kind = class_of(config, object, key)
    dealt = {
        name: deal(value, seed, f"{key}.{name}") if is_target(value) else value
        for name, value in config.items()
    }
    if "seed" in inspect.signature(kind).parameters:
        dealt["seed"] = seed(kind, config.get("seed"))
    return dealt


def is_target(value: Any) -> bool:
    """Says whether the value is a config that describes an object."""
    return isinstance(value, Mapping) and TARGET in value


def _check(kind: type, arguments: Mapping[str, Any], key: str) -> None:
    accepted = inspect.signature(kind).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        return
    for name, value in arguments.items():
        if name not in accepted:
            names = ", ".join(accepted) or "none"
            raise SearchError(
                f"{key}.{name}={value!r}: {kind.__name__} has no such argument; it has {names}"
            )
        if not _fits(value, accepted[name], kind):
            wanted = inspect.formatannotation(accepted[name].annotation).strip("'")
            raise SearchError(f"{key}.{name}={value!r}: {kind.__name__} takes {wanted}")
    for name, parameter in accepted.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise SearchError(f"{key}.{name} is not set; {kind.__name__} needs it")


def _fits(value: Any, parameter: inspect.Parameter, kind: type) -> bool:
    """Says whether the value is of the argument's type; a type that cannot be read takes any."""
    names = getattr(inspect.unwrap(kind.__init__), "__globals__", {})
    try:
        annotation = parameter.annotation
        if isinstance(annotation, str):
            annotation = eval(annotation, names)  # the text of Optuna's own source
        adapter = TypeAdapter(Any if annotation is parameter.empty else annotation, config=STRICT)
    except Exception:  # it is imported for type checkers only
        return True
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True
