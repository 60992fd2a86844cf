"""TensorFlow without its C++ lines on the screen."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def load_tensorflow() -> None:
    """Imports TensorFlow; call it before anything else that imports it or Keras.

    `TF_CPP_MIN_LOG_LEVEL` does not reach the lines that TensorFlow 2.21 writes while it is
    imported, so stderr is closed to them. Where a user has set that variable, all lines are shown.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with contextlib.nullcontext() if LEVEL in os.environ else no_stderr():
        os.environ.setdefault(LEVEL, "2")
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def no_stderr() -> Iterator[None]:
    """Loses what is written to stderr, by C++ too."""
    with Path(os.devnull).open("wb") as nowhere, _stderr_in(nowhere):
        yield


def with_its_stderr(call: Callable[[], T]) -> tuple[T, str]:
    """Gives what the call returns, and what is written to stderr meanwhile, by C++ too."""
    with tempfile.TemporaryFile() as file:
        with _stderr_in(file):
            returned = call()
        file.seek(0)
        return returned, file.read().decode("utf-8", "replace")


@contextlib.contextmanager
def _stderr_in(file: IO[bytes]) -> Iterator[None]:
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
