"""The four arrays that a function of the user's gives."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from seqsweep.config import DataFunctionConfig
from seqsweep.data.npz import KEYS
from seqsweep.data.parts import Form, Parts, check_forms
from seqsweep.errors import DataError, first_line
from seqsweep.named import call, function_named

WANTED = f"{', '.join(KEYS)}, as NumPy arrays or what becomes one, are expected"


def read(config: DataFunctionConfig) -> Parts:
    """Calls the function and gives its arrays.

    Raises:
        ConfigError: there is no such function, or it failed.
        DataError: what it gives is not four arrays.
    """
    source = f"data.function={config.function}"
    function = function_named(config.function, key="data.function")
    given = call(function, what=source)
    if not isinstance(given, tuple | list):
        raise DataError(f"{source} gives a {type(given).__name__}: {WANTED}")
    if len(given) != len(KEYS):
        raise DataError(f"{source} gives {len(given)} values: {WANTED}")
    return Parts(source, *(_array(source, *pair) for pair in zip(KEYS, given, strict=True)))


@cache
def peek(config: DataFunctionConfig) -> Parts:
    """Gives the forms of the arrays; calls the function for it, once in a process.

    Raises:
        UserError: as `read`, or the arrays do not fit each other.
    """
    source, *arrays = check_forms(read(config))
    return Parts(source, *(Form(array.shape, array.dtype) for array in arrays))


def _array(source: str, key: str, given: Any) -> np.ndarray:
    try:
        return np.asarray(given)
    except Exception as error:  # ragged lists, tensors of another device
        raise DataError(f"{source}: {key} is no array ({first_line(error)}): {WANTED}") from error
