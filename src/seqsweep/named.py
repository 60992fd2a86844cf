"""Functions that a user names in a config."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any

from seqsweep.errors import ConfigError, first_line


def function_named(name: str, *, key: str) -> Callable[..., Any]:
    """Imports `package.module.function`, or `package.module:function`, and gives the function.

    Args:
        name: what the config holds.
        key: where it holds it, for the error.

    Raises:
        ConfigError: there is no such module, it cannot be imported, or it has no such function.
    """
    try:
        found = pkgutil.resolve_name(name)
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{key}={name!r} names no function: {first_line(error)}; accepted is "
            "package.module.function, of a module that Python finds"
        ) from error
    if not callable(found):
        raise ConfigError(
            f"{key}={name!r} is no function but of type {type(found).__name__}; accepted is "
            "package.module.function"
        )
    return found


def call(function: Callable[..., Any], *arguments: Any, what: str) -> Any:
    """Calls a function of the user's.

    Raises:
        ConfigError: it failed; the message says at which line of which file.
    """
    try:
        return function(*arguments)
    except Exception as error:
        place = _place(error, function)
        raise ConfigError(
            f"{what} failed{place}: {type(error).__name__}: {first_line(error)}"
        ) from error


def _place(error: Exception, function: Callable[..., Any]) -> str:
    """Gives the line that the function was at, where the error comes from within it."""
    trace = error.__traceback__.tb_next
    if trace is None or trace.tb_frame.f_code is not getattr(function, "__code__", None):
        return ""
    return f" at line {trace.tb_lineno} of {trace.tb_frame.f_code.co_filename}"
