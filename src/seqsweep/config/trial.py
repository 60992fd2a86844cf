"""One trial, whole."""

from __future__ import annotations

from seqsweep.config.data import DataConfig
from seqsweep.config.devices import DevicesConfig
from seqsweep.config.model import ModelConfig
from seqsweep.config.optimizer import AdamConfig
from seqsweep.config.tracking import TrackingConfig
from seqsweep.config.training import Objectives, TrainingConfig
from seqsweep.config.values import Seed, Text, frozen


@frozen
class Config:
    """One trial, whole.

    The first `objective` says what "best" means for the weights that are kept and for early
    stopping; a sweep may have several.
    """

    root: Text
    seed: Seed
    objective: Objectives
    data: DataConfig
    model: ModelConfig
    optimizer: AdamConfig
    training: TrainingConfig
    tracking: TrackingConfig
    devices: DevicesConfig
