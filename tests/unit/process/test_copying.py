"""Hydra's copies of a config by pickle are what its own are."""

from pathlib import Path

import hydra.core.utils
import pytest
from hydra import compose, initialize
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import OmegaConf, open_dict

from seqsweep.process.copying import copied, copy_by_pickle


@pytest.fixture
def one_job(monkeypatch):
    """Undoes what is meant for a process of its own."""
    monkeypatch.setattr(hydra.core.utils, "copy", hydra.core.utils.copy)
    monkeypatch.setattr(HydraConfig, "set_config", HydraConfig.set_config)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)


def config(folder: Path):
    setup_globals()
    with initialize(version_base="1.3", config_path=None):
        found = compose(overrides=["+a=1", "+number=${hydra:job.num}"], return_hydra_config=True)
    with open_dict(found):
        found.hydra.sweep.dir, found.hydra.sweep.subdir = str(folder), "7"
        found.hydra.job.num, found.hydra.job.id = 7, "it-7"
        found.hydra.job.env_set = {"A": "${hydra.job.num}"}
    return found


def run(folder: Path):
    """Runs a job that changes its config; gives all that it and its end see of configs."""
    seen = []

    def task(cfg):
        seen.append(OmegaConf.to_container(cfg, resolve=True))
        seen.append(OmegaConf.to_container(HydraConfig.get(), resolve=False))
        seen.append(
            (HydraConfig.get().runtime.output_dir, cfg.number, HydraConfig.get().job.env_set.A)
        )
        cfg.a = 2

    given = config(folder)
    context = HydraContext(GlobalHydra.instance().hydra, Callbacks())
    result = run_job(task, given, "hydra.sweep.dir", "hydra.sweep.subdir", context)
    ended = [OmegaConf.to_container(each) for each in (given, result.cfg, result.hydra_cfg)]
    kinds = [OmegaConf.get_type(result.hydra_cfg, "hydra"), OmegaConf.is_struct(result.cfg)]
    files = {path.name: path.read_text() for path in (folder / "7" / ".hydra").iterdir()}
    return seen, ended, kinds, result.overrides, result.status, files


def test_a_job_sees_the_same_configs(one_job, tmp_path):
    by_hydra = run(tmp_path)
    copy_by_pickle()
    assert hydra.core.utils.copy.deepcopy is copied
    assert run(tmp_path) == by_hydra


def test_a_copy_is_of_its_own_and_holds_what_only_cloudpickle_takes():
    given = OmegaConf.create({"a": {"b": [1]}}, flags={"allow_objects": True})
    given.function = lambda: 5
    found = copied(given)
    found.a.b.append(2)
    assert (given.a.b, found.a.b, found.function()) == ([1], [1, 2], 5)
