"""A job's folder may be named by its overrides, so their secrets go and all else stays apart."""

import pytest
from omegaconf import OmegaConf

from seqsweep.hydra_files import name_without_secrets


def config(dirname: str):
    how = {"item_sep": ",", "kv_sep": "=", "exclude_keys": []}
    job = {"override_dirname": dirname, "config": {"override_dirname": how}}
    return OmegaConf.create({"hydra": {"job": job}})


@pytest.mark.parametrize(
    ("dirname", "searched", "shown"),
    [
        ("lr=0.1,units=32", (), "lr=0.1,units=32"),
        ("lr=0.1,token=bpe,units=32", (), "lr=0.1,token=***,units=32"),
        ("lr=0.1,token=bpe,units=32", ("token",), "lr=0.1,token=bpe,units=32"),
        ("+token=bpe,units=[1,2]", ("token",), "+token=bpe,units=[1,2]"),
        ("url=http://u:p,w@h/x,units=32", (), "url=http://u:***@h/x,units=32"),
        ("", (), ""),
    ],
)
def test_of_overrides_only_a_secret_that_is_not_searched_is_masked(dirname, searched, shown):
    cfg = config(dirname)
    name_without_secrets(cfg, searched)
    assert cfg.hydra.job.override_dirname == shown
