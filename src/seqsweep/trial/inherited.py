"""The data set that a sweep's trials inherit: loaded once, before they are forked."""

from __future__ import annotations

from omegaconf import DictConfig

from seqsweep import data
from seqsweep.config import DataConfig, read

_loaded: dict[DataConfig, data.Dataset] = {}


def load(cfg: DictConfig) -> None:
    """Loads the data set of the config that a sweep's trials share, and works out its digests."""
    config = read(cfg).data
    _loaded[config] = dataset = data.load(config)
    data.described(dataset)


def dataset_of(config: DataConfig) -> data.Dataset:
    """Gives the data set, which is not loaded again where this process has it.

    Raises:
        UserError: it cannot be loaded.
    """
    return _loaded.get(config) or data.load(config)
