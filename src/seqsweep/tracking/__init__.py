"""Records of runs; the only package that imports mlflow."""

from __future__ import annotations

from seqsweep.config import TrackingConfig
from seqsweep.tracking.base import Run, RunRecord, Tracking

__all__ = ["Run", "RunRecord", "Tracking", "open_tracking"]


def open_tracking(config: TrackingConfig) -> Tracking:
    """Opens the store that `config` names; creates it where it does not exist.

    Raises:
        TrackingError: the store cannot be opened.
    """
    if config.name == "none":
        from seqsweep.tracking.none import NoTracking

        return NoTracking()
    from seqsweep.tracking.mlflow import MlflowTracking

    return MlflowTracking.open(config)
