"""Models of the user's own, built before the first trial in a process beside the sweep.

The sweep itself imports no TensorFlow, and a function of the user's may crash. One process serves
all configs that are looked at, and ends once nobody asks any more.
"""

from __future__ import annotations

import multiprocessing
import os
from functools import cache
from multiprocessing.connection import Connection

from seqsweep import data
from seqsweep.config import Config, DataConfig
from seqsweep.errors import ConfigError, UserError

IDLE_S = 10  # without a question, after which the process ends
_SPAWN = multiprocessing.get_context("spawn")


@cache
def _connection() -> Connection:
    ours, theirs = _SPAWN.Pipe()
    _SPAWN.Process(target=_serve, args=(theirs,), daemon=True).start()
    theirs.close()
    return ours


def try_model(config: Config) -> None:
    """Builds the model and forgets it.

    Raises:
        UserError: it cannot be built, or not be trained.
    """
    for may_be_idle in (True, False):
        try:
            _connection().send(config)
            fault = _connection().recv()
            break
        except (EOFError, OSError):  # the process is gone
            _connection.cache_clear()
            if not may_be_idle:
                fault = ConfigError(
                    f"model._target_={config.model.target} ends its process: a keras.Model is "
                    "expected of it"
                )
    if fault is not None:
        raise fault


def _serve(connection: Connection) -> None:
    """Answers each config with the error that its model comes to, or None."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    from seqsweep.trial.quiet import load_tensorflow

    load_tensorflow()
    import tensorflow

    tensorflow.config.set_visible_devices([], "GPU")
    while connection.poll(IDLE_S):
        connection.send(_fault(connection.recv()))


def _fault(config: Config) -> UserError | None:
    from seqsweep import models

    try:
        input_shape, n_classes = _sizes(config.data)
        models.build(config.model, input_shape=input_shape, n_classes=n_classes, seed=config.seed)
    except UserError as error:
        return error
    return None


@cache
def _sizes(config: DataConfig) -> tuple[tuple[int, int], int]:
    dataset = data.load(config)
    return dataset.input_shape, dataset.n_classes
