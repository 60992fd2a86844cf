"""The checkpoint of a training: one file, from which a later process goes on to the same bits.

The file is a line that names the format, the SHA-256 of all that follows, and a NumPy archive: the
arrays of the state, and all else as JSON in the entry `json`. Nothing is ever unpickled. A file
that is not whole, or is of another training, is as good as none: no second one is kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

import seqsweep
from seqsweep.config import Config, ModelFunctionConfig
from seqsweep.data import Dataset
from seqsweep.errors import reason
from seqsweep.folders import write_whole
from seqsweep.models.own import source_of
from seqsweep.process.channel import TrialInterrupted, interrupted
from seqsweep.trial.reporting import ChannelReporter

if TYPE_CHECKING:
    from seqsweep.trial.train import Training

FILE = "state.ckpt"
MAGIC = b"seqsweep checkpoint 1\n"
DIGEST = hashlib.sha256().digest_size
ARRAY = "array"  # the key under which the JSON has an array's number
# What decides nothing: where it runs and is recorded, what a screen shows, and this module's field.
ELSEWHERE = ("root", "tracking", "devices")
BESIDE = ("display", "test_len", "checkpoint_every_s")
# The parts of this package whose code decides what a training comes to.
CODE = ("data", "models", "trial")


class UnusableCheckpoint(Exception):  # noqa: N818 - what it is, not what goes wrong
    """A checkpoint from which this training must not go on."""


class Checkpoints:
    """Writes the checkpoint of one training, and reads the one that an earlier process left.

    Args:
        folder: made once the training begins; by it the worker knows that it checkpoints.
        config: of the training; `checkpoint_every_s` must not be None.
        dataset: what it trains on.
        reporter: what it was told is part of the state.
    """

    def __init__(
        self, folder: Path, config: Config, dataset: Dataset, reporter: ChannelReporter
    ) -> None:
        self._folder = folder
        self._config = config
        self._dataset = dataset
        self._reporter = reporter
        self._last = time.monotonic()

    def restore(self, training: Training) -> bool:
        """Puts the training where the checkpoint has it and tells its curve again; says whether.

        Raises:
            TrialPruned: the reporter said stop.
        """
        path = self._folder / FILE
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                return False
            state = read(path, self._identity)
        except (OSError, UnusableCheckpoint) as error:
            _say(f"begins at the start, its checkpoint cannot be used: {reason(error)}")
            return False
        training.restore(state["training"])
        n_steps = training.schedule.n_steps
        _say(f"goes on after step {training.step} of {n_steps} from its checkpoint")
        self._reporter.tell_again(state["told"])
        return True

    def look(self, training: Training) -> None:
        """Writes a checkpoint where one is due; a disk that is full does not end the training.

        Raises:
            TrialInterrupted: the sweep was interrupted.
        """
        is_last = interrupted()
        if is_last or time.monotonic() - self._last >= self._config.training.checkpoint_every_s:
            try:
                state = {"training": training.state(), "told": self._reporter.told()}
                write(self._folder / FILE, state, self._identity)
            except OSError as error:
                _say(f"its checkpoint cannot be written: {reason(error)}")
            self._last = time.monotonic()
        if is_last:
            raise TrialInterrupted(f"after step {training.step}")

    @cached_property
    def _identity(self) -> str:
        return identity_of(self._config, self._dataset)


def write(path: Path, state: dict[str, Any], identity: str) -> None:
    """Writes the file whole or not at all: whoever is killed here leaves the one that there was."""
    payload = _pack({"identity": identity, "state": state})
    write_whole(path, MAGIC + hashlib.sha256(payload).digest() + payload)


def read(path: Path, identity: str) -> dict[str, Any]:
    """Gives the state that `write` was given with this identity.

    Raises:
        UnusableCheckpoint: the file is not whole, or is of another training.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    start = len(MAGIC) + DIGEST
    payload = content[start:]
    if content[:start] != MAGIC + hashlib.sha256(payload).digest():
        raise UnusableCheckpoint("it is damaged, or of another version of seqsweep")
    found = _unpack(payload)
    if found["identity"] != identity:
        raise UnusableCheckpoint("it is of another configuration, data set or version")
    return found["state"]


def identity_of(config: Config, dataset: Dataset) -> str:
    """Gives a digest of all that decides how a training goes: values, data, code and libraries.

    Not of `devices`: a trial may go on on another one, though only on the same kind of CPU, with as
    many threads, to the same bits.
    """
    values = dataclasses.asdict(config)
    for key in ELSEWHERE:
        del values[key]
    for key in BESIDE:
        del values["training"][key]
    versions = [tf.__version__, keras.__version__, np.__version__]
    read = [dataset.train.sha256, dataset.validation.sha256]
    facts = [values, versions, dataset.n_classes, read]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for part in CODE:
        for path in sorted((Path(seqsweep.__file__).parent / part).glob("*.py")):
            digest.update(path.read_bytes())
    if isinstance(config.model, ModelFunctionConfig):
        digest.update(source_of(config.model))
    return digest.hexdigest()


def _pack(state: dict[str, Any]) -> bytes:
    arrays: list[np.ndarray] = []

    def take_out(array: np.ndarray) -> dict[str, int]:
        if not isinstance(array, np.ndarray):
            raise TypeError(f"a state holds plain values and arrays, not {array!r}")
        arrays.append(array)
        return {ARRAY: len(arrays) - 1}

    text = json.dumps(state, default=take_out).encode()
    file = io.BytesIO()
    np.savez(file, *arrays, json=np.frombuffer(text, np.uint8))
    return file.getvalue()


def _unpack(payload: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:

        def put_back(node: dict[str, Any]) -> Any:
            return archive[f"arr_{node[ARRAY]}"] if node.keys() == {ARRAY} else node

        return json.loads(archive["json"].tobytes(), object_hook=put_back)


def _say(what: str) -> None:
    print(what, flush=True)  # into the job's output.log
