"""A worker that a person starts, on any machine that reaches the sweep's folder and its stores."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cloudpickle
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals

from seqsweep.errors import SearchError, first_line
from seqsweep.folders import make_folder, write_whole
from seqsweep.search.study.past import FOLDER
from seqsweep.search.study.reading import find_name, open_for_reading, readable
from seqsweep.search.workers.crew import why_to_end
from seqsweep.search.workers.stops import Stop
from seqsweep.search.workers.worker import Worker
from seqsweep.stores import found_from_anywhere
from seqsweep.terminal import Terminal

FILE = Path("workers", "worker.pkl")  # in the sweep's folder


@contextmanager
def kept(worker: Worker) -> Iterator[None]:
    """Leaves the worker in the sweep's folder, while in this block, for those who want to join.

    Only its owner may read it: it holds addresses.
    """
    path = worker.plan.folder / FILE
    make_folder(path.parent)
    path.with_name(f"{path.name}.new").touch(mode=0o600)  # what is written next
    write_whole(path, cloudpickle.dumps((worker, Singleton.get_state())))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def join(storage: str, name: str) -> Stop:
    """Runs trials of the study `name`, which a sweep runs; says what ended that.

    Raises:
        SearchError: no sweep runs it with workers, or its folder is not to be found here.
    """
    store = open_for_reading(storage)
    with readable(storage):
        name = find_name(store, name)
        attributes = store.get_study_user_attrs(store.get_study_id_from_name(name))
    store.close()
    if FOLDER not in attributes:
        raise SearchError(f"{name}: no sweep of seqsweep has begun this study")
    worker = _read(name, Path(attributes[FOLDER]))
    if why_to_end(worker.plan, worker.crew, attributes) is not None:
        raise SearchError(f"{name}: no sweep runs it now; the command that began it goes on")
    worker.plan.storage = found_from_anywhere(storage)
    folder = worker.plan.folder / "workers" / f"{socket.gethostname()}-{os.getpid()}"
    make_folder(folder)
    return worker.join(folder, Terminal())


def _read(name: str, folder: Path) -> Worker:
    setup_globals()
    if not (folder / FILE).exists():
        raise SearchError(
            f"{name}: there is no {folder / FILE}: no sweep runs it now that was started with a "
            "launcher, as hydra/launcher=joblib, or this machine does not see its folder"
        )
    try:
        worker, singletons = pickle.loads((folder / FILE).read_bytes())
    except Exception as error:  # a module that is missing, another version of a library
        raise SearchError(
            f"{name}: {folder / FILE} cannot be read here: {first_line(error)}; a worker needs the "
            "app's modules, and the versions of the sweep's environment"
        ) from error
    singletons["instances"][Plugins] = Plugins.instance()
    Singleton.set_state(singletons)
    return worker
