"""Records of runs; the only package that imports mlflow."""

from __future__ import annotations

from seqsweep.config import TrackingConfig
from seqsweep.tracking.base import Run, RunRecord, Tracking

__all__ = ["Run", "RunRecord", "Tracking", "how_to_see", "open_tracking"]


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


def how_to_see(tracking: Tracking) -> list[str]:
    """Gives the lines that tell a person how to see the runs; none where nothing is kept."""
    command, page = tracking.how_to_open(), tracking.page()
    lines = [f"runs    {command}"] if command else []
    if page:
        lines.append(f"        {page}" if command else f"runs    {page}")
    return lines
