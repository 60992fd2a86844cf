"""Settings of a sweep, as they are where nothing is set."""

import uuid
from collections.abc import Callable

import pytest
from omegaconf import OmegaConf

from hydra_plugins.seqsweep_sweeper import OPTIONS, SeqsweepSweeperConf
from seqsweep.search.settings import Settings

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


@pytest.fixture(
    params=["sqlite", *(pytest.param(each, marks=pytest.mark.cluster) for each in SERVERS)]
)
def place(request, tmp_path) -> str:
    """Where an empty store of studies is, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "studies.db")
    return request.getfixturevalue(request.param).create(f"of_{uuid.uuid4().hex}")
