"""The data set that trials inherit."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from seqsweep import data
from seqsweep.config import Mnist5kConfig
from seqsweep.trial import inherited


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(inherited, "_loaded", {})


@pytest.mark.usefixtures("fresh")
def test_what_was_loaded_before_is_not_loaded_again_and_anything_else_is(monkeypatch):
    loads = []
    load = data.load
    monkeypatch.setattr(data, "load", lambda config: loads.append(config) or load(config))
    config = Mnist5kConfig(name="mnist_5k", n_validation=500)
    monkeypatch.setattr(inherited, "read", lambda _cfg: SimpleNamespace(data=config))
    inherited.load(OmegaConf.create({}))
    shared = inherited.dataset_of(Mnist5kConfig(name="mnist_5k", n_validation=500))
    assert loads == [config]
    assert inherited.dataset_of(config) is shared
    # what its record says of it needs no second look at the arrays
    assert {"sha256"} <= vars(shared.train).keys() & vars(shared.validation).keys()
    other = inherited.dataset_of(Mnist5kConfig(name="mnist_5k", n_validation=400))
    assert (len(loads), len(other.validation.y)) == (2, 400)
