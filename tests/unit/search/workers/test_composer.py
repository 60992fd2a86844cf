"""What is composed from a template is what Hydra composes by itself."""

import itertools

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from seqsweep.search.workers.composer import Composer

# Overrides of the project's own configs, by what they do to them.
OVERRIDES = {
    "values": ["model.n_hidden=7", "seed=3", "optimizer.learning_rate=1e-3", "seed='a b'"],
    "options of groups": ["model=gru", "data=idx", "training=default", "devices=cpu"],
    "interpolations": ["seed=${model.n_hidden}", "data.dir=${oc.env:HOME}", "+a=${seed}"],
    "dictionaries": ["model={n_hidden:9}", "+a={b:1,c:[1,2]}", "training={epochs:null}"],
    "added and taken": ["+a=1", "+a.b=2", "++a=3", "++seed=4", "~seed", "~model.dropout"],
    "Hydra's own": ["hydra.job.chdir=true", "hydra.sweep.subdir=x/${hydra.job.num}"],
    "mistakes": ["nosuch=1", "model=nosuch", "model@x=lstm", "+model=gru", "seed.b=1", "~nosuch"],
    "groups that are added": ["+experiment=tutorial", "~model", "hydra/job_logging=none"],
}
ALL = sorted(itertools.chain.from_iterable(OVERRIDES.values()))


@pytest.fixture(scope="module")
def loader(root):
    ConfigStore.instance().store(name="project", node={"root": str(root)})
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2(
        task_name="app", config_search_path=create_config_search_path(str(root / "conf"))
    )
    yield hydra.config_loader
    GlobalHydra.instance().clear()


@pytest.fixture(scope="module")
def master(loader):
    overrides = ["sweep=tiny", "hydra.job.config.override_dirname.exclude_keys=[seed]"]
    config = loader.load_configuration("config", overrides, RunMode.MULTIRUN)
    HydraConfig.instance().set_config(config)
    return config


def composed(compose):
    """Gives the whole config with its flags, or that it cannot be composed."""
    try:
        config = compose()
    except HydraException as error:
        return type(error)
    flags = [config._metadata.flags, config.hydra._metadata.flags]
    return OmegaConf.to_container(config, resolve=False), OmegaConf.to_yaml(config), flags


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(ALL), max_size=2, unique=True),
    st.lists(st.sampled_from(ALL), max_size=4, unique=True),
)
def test_any_overrides_compose_to_what_hydra_composes(loader, master, fixed, own):
    hydras = composed(lambda: loader.load_sweep_config(master, [*fixed, *own]))
    composer = Composer(loader, master, fixed)
    for _ in range(2):  # without and with what the first time has left
        assert composed(lambda: composer.compose(own)) == hydras


@pytest.mark.parametrize("kind", OVERRIDES)
def test_each_override_composes_to_what_hydra_composes(loader, master, kind):
    composer = Composer(loader, master, [])
    for override in OVERRIDES[kind]:
        hydras = composed(lambda override=override: loader.load_sweep_config(master, [override]))
        assert composed(lambda override=override: composer.compose([override])) == hydras, override


def test_the_same_groups_are_composed_once(loader, master, monkeypatch):
    loaded = []
    load = type(loader).load_sweep_config
    monkeypatch.setattr(
        type(loader), "load_sweep_config", lambda *given: loaded.append(1) or load(*given)
    )
    composer = Composer(loader, master, ["seed=1"])
    for n, model in itertools.product(range(3), ("lstm", "gru")):
        config = composer.compose([f"model={model}", f"model.n_hidden={n}"])
        assert (config.model.name, config.model.n_hidden, config.seed) == (model, n, 1)
    assert len(loaded) == 2


def test_configs_of_the_same_groups_share_nothing_that_can_be_changed(loader, master):
    composer = Composer(loader, master, [])
    first, second = (composer.compose(["seed=1"]) for _ in range(2))
    first.model.n_hidden = 77
    assert second.model.n_hidden != 77
    assert composer.compose([]).model.n_hidden != 77


def test_every_override_here_is_one_to_hydra():
    assert len(OverridesParser.create().parse_overrides(ALL)) == len(ALL)
