"""Pickles of what a job is made of."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle


def pickled(value: Any) -> bytes:
    """Pickles a value; in 0.5 ms where that of a config by cloudpickle, in Python, takes 1.3 ms.

    Cloudpickle is needed for a program's own functions and classes: what stands in `__main__` is
    not there in another process, or lies behind `if __name__ == "__main__"`.
    """
    try:
        found = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return cloudpickle.dumps(value)
    return cloudpickle.dumps(value) if b"__main__" in found else found
