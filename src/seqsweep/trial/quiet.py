"""TensorFlow without its C++ lines on the screen."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

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
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
