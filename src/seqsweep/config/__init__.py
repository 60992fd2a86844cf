"""The typed configuration of one trial.

Hydra composes it from `conf/`, where every default stands, a group for each file here; `read` turns
what was composed into frozen values and refuses what cannot train. Nothing here imports TensorFlow.
"""

from seqsweep.config.data import (
    DataConfig,
    DataFunctionConfig,
    DownloadConfig,
    IdxConfig,
    Mnist5kConfig,
    NpzConfig,
)
from seqsweep.config.devices import DevicesConfig
from seqsweep.config.model import (
    Conv1dConfig,
    GruConfig,
    LstmConfig,
    ModelConfig,
    ModelFunctionConfig,
    keys_of,
)
from seqsweep.config.optimizer import AdamConfig
from seqsweep.config.reading import checked, read
from seqsweep.config.tracking import TrackingConfig
from seqsweep.config.training import TrainingConfig
from seqsweep.config.trial import Config
from seqsweep.config.values import TARGET

__all__ = [
    "TARGET",
    "AdamConfig",
    "Config",
    "Conv1dConfig",
    "DataConfig",
    "DataFunctionConfig",
    "DevicesConfig",
    "DownloadConfig",
    "GruConfig",
    "IdxConfig",
    "LstmConfig",
    "Mnist5kConfig",
    "ModelConfig",
    "ModelFunctionConfig",
    "NpzConfig",
    "TrackingConfig",
    "TrainingConfig",
    "checked",
    "keys_of",
    "read",
]
