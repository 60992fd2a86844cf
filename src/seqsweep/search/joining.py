"""A worker that a person starts, on any machine that reaches the sweep's folder and its stores."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path

import cloudpickle
import optuna
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals

from seqsweep.errors import SearchError, first_line
from seqsweep.folders import make_folder, write_whole
from seqsweep.search.crew import orphaned
from seqsweep.search.opening import open_storage
from seqsweep.search.past import FOLDER
from seqsweep.search.stops import Stop
from seqsweep.search.worker import Worker
from seqsweep.terminal import Terminal

FILE = Path("workers", "worker.pkl")  # in the sweep's folder


def keep(worker: Worker) -> None:
    """Leaves the worker in the sweep's folder, readable by its owner alone: it holds addresses."""
    path = worker.plan.folder / FILE
    make_folder(path.parent)
    path.with_name(f"{path.name}.new").touch(mode=0o600)  # what is written next
    write_whole(path, cloudpickle.dumps((worker, Singleton.get_state())))


def join(storage: str, name: str) -> Stop:
    """Runs trials of the study `name`, which a sweep runs; says what ended that.

    Raises:
        SearchError: no sweep runs it with workers, or its folder is not to be found here.
    """
    store = open_storage(storage, grace_period=60)
    try:
        study = optuna.load_study(study_name=name, storage=store)
    except KeyError as error:
        raise SearchError(f"--study={name}: the store has no study of that name") from error
    worker = _kept(name, Path(study.user_attrs.get(FOLDER, "")))
    worker.plan.storage = storage
    if orphaned(worker.plan, worker.crew, study) is not None:
        raise SearchError(
            f"--study={name}: no sweep runs it now; the command that began it goes on"
        )
    store.close()
    folder = worker.plan.folder / "workers" / f"{socket.gethostname()}-{os.getpid()}"
    make_folder(folder)
    return worker.join(folder, Terminal())


def _kept(name: str, folder: Path) -> Worker:
    setup_globals()
    try:
        worker, singletons = pickle.loads((folder / FILE).read_bytes())
    except Exception as error:  # a module that is missing, another version of a library
        raise SearchError(
            f"--study={name}: {folder / FILE} cannot be read here: {first_line(error)}; a worker "
            "needs the sweep's folder under the same path, the app's modules, and a sweep that was "
            "started with a launcher, as hydra/launcher=joblib"
        ) from error
    singletons["instances"][Plugins] = Plugins.instance()
    Singleton.set_state(singletons)
    return worker
