"""The trial process: runs one Hydra job and says up the pipe how it went."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig
from omegaconf.basecontainer import BaseContainer

from seqsweep.hydra_files import HydraFiles
from seqsweep.outcome import Failed, Outcome
from seqsweep.process.channel import (
    TrialInterrupted,
    TrialPruned,
    interrupt_current,
    open_current,
)
from seqsweep.process.copying import copy_by_pickle
from seqsweep.process.messages import CHECKPOINT_FOLDER, OUTPUT_FILE, Stopped
from seqsweep.process.result import raised, returned
from seqsweep.secrets import keep_out_of_logs

# What a trial comes to that ended itself at SIGTERM; in an interrupted sweep the worker says so.
TERMINATED = Failed("the trial was ended by SIGTERM", again=True)


@dataclass(frozen=True)
class Job:
    """The composed config of one Hydra job of a packed app, and the environment of its slot.

    The app's function is to return `n_values` numbers.
    """

    app: bytes
    config: DictConfig
    folder: Path
    environment: dict[str, str]
    n_values: int = 1


def pack(function: Callable[[DictConfig], Any], hydra_context: HydraContext) -> bytes:
    """Packs what all jobs of a sweep share: the task function, and Hydra with its singletons.

    Hydra's own `get_state` copies them, so that the loader and the store of configs, which the
    context has too, would be there twice. What `HydraConfig` has each job sets for itself.
    """
    own = {Plugins, HydraConfig}
    instances = {kind: one for kind, one in Singleton._instances.items() if kind not in own}
    state = {"instances": instances, "omegaconf_resolvers": BaseContainer._resolvers}
    return cloudpickle.dumps((function, hydra_context, state))


def main(payload: bytes, app: bytes, connection: Connection) -> None:
    """Runs the pickled `Job` of the app and sends its outcome as the last message."""
    _end_with_the_worker()
    word = _last_word(payload, app, connection)
    with contextlib.suppress(OSError, ValueError):  # a full disk, a stream that the job has closed
        sys.stdout.flush()  # at an interrupt the worker waits for nothing after that word
    connection.send(word)
    connection.close()


def _end_with_the_worker() -> None:
    """Ends this process when the worker that started it is gone, however it went."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _heed_sigterm(checkpoint: Path) -> None:
    """Lets SIGTERM be the trial's to answer where that folder is; else it ends the process."""
    trial = os.getpid()

    def handle(*_: object) -> None:
        if os.getpid() == trial and checkpoint.is_dir():
            interrupt_current()
        else:  # no checkpoint, or a process that the job forked
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)


def _last_word(payload: bytes, app: bytes, connection: Connection) -> Outcome | Stopped:
    try:
        job = cloudpickle.loads(payload)
        _heed_sigterm(job.folder / CHECKPOINT_FOLDER)
        os.environ.update(job.environment)
        _write_output_to(job.folder / OUTPUT_FILE)
        faulthandler.enable()
        open_current(connection)
        word = _run(job, app)
    except BaseException as error:  # an app that cannot be imported, a folder that cannot be made
        word = raised(error)
    if isinstance(word, Failed):
        with contextlib.suppress(OSError):  # of a full disk, which must not cost the last word
            print(word.traceback or word.reason, file=sys.stderr, flush=True)
    return word


def _write_output_to(path: Path) -> None:
    """Sends stdout and stderr, those of C++ libraries too, into the job's folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _run(job: Job, app: bytes) -> Outcome | Stopped:
    function, hydra_context = _unpack(app)
    copy_by_pickle()
    HydraConfig.instance().set_config(job.config)
    keep_out_of_logs()
    files = HydraFiles()
    files.write(job.config, job.folder)
    hydra_context.callbacks.callbacks.insert(0, files)  # before the app's own see the config
    result = run_job(
        hydra_context=hydra_context,
        task_function=lambda config: _call(function, config),
        config=job.config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    value = result._return_value  # the property would print and raise
    if result.status is not JobStatus.COMPLETED:
        return raised(value)
    if isinstance(value, Stopped) or value is TERMINATED:
        return value
    return returned(value, n_values=job.n_values)


def _unpack(app: bytes) -> tuple[Callable[[DictConfig], Any], HydraContext]:
    """Makes this process the app's: gives its function, and Hydra as it is in the worker."""
    setup_globals()
    function, hydra_context, singletons = cloudpickle.loads(app)
    # Hydra would look for its plugins anew, and run their modules, in each process
    singletons["instances"][Plugins] = Plugins.instance()
    Singleton.set_state(singletons)
    return function, hydra_context


def _call(function: Callable[[DictConfig], Any], config: DictConfig) -> Any:
    """Calls the task so that to Hydra a stopped job is a completed one, an exit a failed one."""
    gc.enable()  # off since before the fork
    try:
        return function(config)
    except TrialPruned:
        return Stopped()
    except TrialInterrupted:
        return TERMINATED
    except SystemExit as error:
        raise RuntimeError(f"the function called sys.exit({error.code!r})") from error
