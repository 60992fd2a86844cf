"""Image data sets as arrays in memory: one module per source, one shape for all.

Every source module gives the same two functions: `read(config)`, the four arrays as they are
stored, and `peek(config)`, their shapes and types without the images. What becomes of the arrays
stands once, in `dataset.py`.
"""

from types import ModuleType

from seqsweep.config import (
    DataConfig,
    DataFunctionConfig,
    DownloadConfig,
    IdxConfig,
    Mnist5kConfig,
    NpzConfig,
)
from seqsweep.data import download, function, idx, mnist_5k, npz
from seqsweep.data.dataset import Dataset, Split, build
from seqsweep.data.described import described
from seqsweep.data.download import is_cached
from seqsweep.data.parts import left_to_train

__all__ = ["Dataset", "Split", "count_training", "described", "is_cached", "load"]

_SOURCES: dict[type, ModuleType] = {
    Mnist5kConfig: mnist_5k,
    DownloadConfig: download,
    IdxConfig: idx,
    NpzConfig: npz,
    DataFunctionConfig: function,
}


def load(config: DataConfig) -> Dataset:
    """Gives the data set, the same one on every call.

    Raises:
        ConfigError: `n_validation` leaves no training image.
        DataError: the data is missing, malformed or inconsistent.
    """
    parts = _SOURCES[type(config)].read(config)
    return build(config.name, parts, config.n_validation)


def count_training(config: DataConfig) -> int:
    """Gives the number of training images of `load(config)` from the files' headers alone.

    Downloads what has to be downloaded, so a missing file or network is found before any training.

    Raises:
        ConfigError: `n_validation` leaves no training image.
        DataError: the data is missing, or its headers are malformed or inconsistent.
    """
    return left_to_train(_SOURCES[type(config)].peek(config), config.n_validation)
