"""The launchers of Hydra that can start the workers of a sweep, and what is to be known of each."""

from __future__ import annotations

import logging
import os
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

PYTHONPATH = "PYTHONPATH"
SMALL_STORE = 78643200  # bytes; Ray takes no less


@dataclass(frozen=True)
class Kind:
    """What a launcher does with workers.

    Attributes:
        name: as in `hydra/launcher=name`.
        is_local: whether its workers run on this host and have no share of it of their own.
        ends_all: whether no worker is left once it has failed.
    """

    name: str
    is_local: bool = False
    ends_all: bool = False

    @property
    def is_basic(self) -> bool:
        """Whether its one job runs in the program itself."""
        return self == BASIC


BASIC = Kind("basic", is_local=True, ends_all=True)
KINDS = {
    "BasicLauncher": BASIC,
    "JoblibLauncher": Kind("joblib", is_local=True, ends_all=True),
    "LocalLauncher": Kind("submitit_local", is_local=True),
    "SlurmLauncher": Kind("submitit_slurm"),
    "RayLauncher": Kind("ray"),
}


def kind_of(launcher: Mapping[str, Any]) -> Kind:
    """Gives the kind of `hydra.launcher`; one that is not known starts workers elsewhere."""
    target = launcher["_target_"].rpartition(".")[2]
    return KINDS.get(target, Kind(target))


def adapted(config: DictConfig, count: int) -> DictConfig:
    """Lets joblib run all `count` workers at once, where the user says nothing of it.

    It would run as many as there are cores; the others began when nothing is left to do.
    """
    if kind_of(config.hydra.launcher).name == "joblib" and config.hydra.launcher.n_jobs == -1:
        config.hydra.launcher.n_jobs = count
    return config


def hush(kind: Kind) -> None:
    """Keeps what a launcher logs of its jobs, and of a cluster without accounting, off the screen.

    Joblib's and Ray's heed Hydra's configuration of logging, submitit's does not.
    """
    logging.getLogger("hydra_plugins").setLevel(logging.WARNING)
    if kind.name.startswith("submitit"):
        import submitit  # which sets the level of its own logger

        logging.getLogger(submitit.__name__).setLevel(logging.ERROR)


def connect(kind: Kind, config: DictConfig) -> None:
    """Starts Ray, or connects to a cluster that runs, before the launcher would.

    The launcher keeps Ray's store of objects small, which nobody needs here; Ray refuses to hear of
    it where a cluster runs already.
    """
    if kind.name != "ray":
        return
    import ray

    if not ray.is_initialized():
        arguments = OmegaConf.to_container(config.hydra.launcher.ray.init, resolve=True)
        try:
            ray.init(**{"object_store_memory": SMALL_STORE, **arguments})
        except ValueError:
            ray.init(**arguments)


def cancel(kind: Kind, *, only_waiting: bool = False) -> None:
    """Takes the workers' jobs back from a queue, where the launcher has one.

    The launcher itself tells nobody which they are; submitit knows all that this program sent.
    """
    if jobs := _jobs_of_slurm(kind):
        waiting = ["--state=PENDING"] if only_waiting else []
        subprocess.run(["scancel", *waiting, *jobs], check=False, capture_output=True)


def has_jobs(kind: Kind) -> bool:
    """Says whether a queue still has jobs of workers, which wait, run or are about to end."""
    jobs = _jobs_of_slurm(kind)
    if not jobs:
        return False
    command = ["squeue", "--noheader", "--format=%i", f"--jobs={','.join(jobs)}"]
    return bool(subprocess.run(command, check=False, capture_output=True).stdout.strip())


def _jobs_of_slurm(kind: Kind) -> list[str]:
    if kind.name != "submitit_slurm" or "submitit" not in sys.modules:
        return []
    return sorted(sys.modules["submitit"].SlurmJob.watcher._registered)


@contextmanager
def kept_private(config: DictConfig, folder: Path) -> Iterator[None]:
    """Lets no other user read what submitit pickles in this block, and removes it at the end.

    That holds the whole config and the workers' environment, passwords among them. A folder that
    the user has named outside of `folder`, the sweep's own, and that exists stays as it is.
    """
    named = config.hydra.launcher.get("submitit_folder")
    if named is None:
        yield
        return
    from submitit.core.utils import JobPaths

    kept = JobPaths.get_first_id_independent_folder(named)
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_ours = kept.is_relative_to(folder) and kept != folder
    if is_ours:
        kept.chmod(0o700)
    try:
        yield
    finally:
        for pickled in kept.rglob("*.pkl") if is_ours else ():
            pickled.unlink(missing_ok=True)


@contextmanager
def seen_by_workers() -> Iterator[None]:
    """Lets the processes that are started in this block find the modules that this one does.

    What a launcher sends to a worker is read there before any line of ours runs.
    """
    before = os.environ.get(PYTHONPATH)
    os.environ[PYTHONPATH] = os.pathsep.join(_own_folders())
    try:
        yield
    finally:
        if before is None:
            del os.environ[PYTHONPATH]
        else:
            os.environ[PYTHONPATH] = before


def _own_folders() -> list[str]:
    """Gives where modules are looked for, without what each Python of this environment has."""
    installed = {*site.getsitepackages(), site.getusersitepackages()}
    installed |= {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    folders = [os.path.abspath(folder) for folder in sys.path]  # noqa: PTH100 - a zip may be one
    standard = tuple(installed)
    return [folder for folder in folders if not folder.startswith(standard)]
