"""Settings of a sweep, as they are where nothing is set, and stores of each kind."""

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy
from omegaconf import OmegaConf
from optuna.storages._rdb.models import TrialHeartbeatModel

from hydra_plugins.seqsweep_sweeper import OPTIONS, SeqsweepSweeperConf
from seqsweep.search.settings import Settings
from seqsweep.search.study.store.base import Store
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.journal import Journal
from seqsweep.search.study.store.opening import open_storage, with_grpc

SERVERS = ("postgres", "mariadb")


@pytest.fixture(scope="session")
def settings() -> Callable[..., Settings]:
    """Reads the plugin's defaults with some fields changed."""

    def make(**fields) -> Settings:
        values = OmegaConf.to_container(OmegaConf.structured(SeqsweepSweeperConf), resolve=False)
        for name in ("defaults", "_target_", "_recursive_"):
            del values[name]
        values |= {"sampler": OPTIONS["sampler"]["random"], "pruner": OPTIONS["pruner"]["none"]}
        values["report_every"] = None
        values["tracking"] |= {"experiment": "sweeps", "dir": "."}
        return Settings.read({**values, **fields})

    return make


@pytest.fixture
def proxy(tmp_path) -> Iterator[str]:
    """The address of a proxy before an empty file, `studies.db`."""
    with with_grpc("serving").served(str(tmp_path / "studies.db"), "127.0.0.1", 0) as address:
        yield address


@pytest.fixture(
    params=[
        "sqlite",
        "journal",
        "proxy",
        *(pytest.param(each, marks=pytest.mark.cluster) for each in SERVERS),
    ]
)
def place(request, tmp_path) -> str:
    """Where an empty store of studies is, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "studies.db")
    if request.param == "journal":
        return f"journal:///{tmp_path}/studies.journal"
    if request.param == "proxy":
        return request.getfixturevalue("proxy")
    return request.getfixturevalue(request.param).create(f"of_{uuid.uuid4().hex}")


@pytest.fixture
def silence(tmp_path) -> Callable[[Store, int, float], None]:
    """Lets the last beat of a trial be so many seconds ago."""

    def silence(storage: Store, trial_id: int, seconds: float) -> None:
        if isinstance(storage, Journal):
            (file,) = storage._beats.folder.glob(f"*/{trial_id}")
            beat = storage._beats.now() - seconds
            os.utime(file, (beat, beat))
            last = max(each.stat().st_mtime for each in file.parent.iterdir())
            os.utime(file.parent, (last, last))  # where it says when a trial began or ended
            return
        if not isinstance(storage, Database):  # but a proxy of one
            behind = open_storage(str(tmp_path / "studies.db"), grace_period=60)
            silence(behind, trial_id, seconds)
            behind.close()
            return
        beat = (storage.now() - timedelta(seconds=seconds)).replace(microsecond=0)
        of_trial = TrialHeartbeatModel.trial_id == trial_id
        with storage.engine.begin() as connection:
            connection.execute(
                sqlalchemy.update(TrialHeartbeatModel).where(of_trial), {"heartbeat": beat}
            )

    return silence
