"""Records of runs; the only package that imports mlflow."""

from __future__ import annotations

import os
from pathlib import Path

from seqsweep.config import TrackingConfig
from seqsweep.secrets import masked
from seqsweep.tracking.base import (
    DESCRIPTION,
    HURRY_S,
    Run,
    RunRecord,
    Tracking,
    new_key,
)

__all__ = [
    "DESCRIPTION",
    "HURRY_S",
    "JOURNAL",
    "Run",
    "RunRecord",
    "Tracking",
    "how_to_see",
    "new_key",
    "open_tracking",
    "place_of",
]

JOURNAL = "unsent.jsonl"  # in the folder of a sweep or a single run, while something waits


def open_tracking(config: TrackingConfig, folder: Path) -> Tracking:
    """Opens the store that `config` names; creates it where it does not exist.

    What the store does not have yet lies in `folder`.

    Raises:
        TrackingError: the store cannot be opened.
    """
    if config.name == "none":
        from seqsweep.tracking.none import NoTracking

        return NoTracking()
    from seqsweep.tracking.journal import Journal
    from seqsweep.tracking.mlflow import MlflowStore
    from seqsweep.tracking.outbox import Outbox

    store = MlflowStore.open(config)
    header = {
        "uri": masked(store.uri),
        "dir": str(store.folder),
        "experiment": config.experiment,
    }
    return Outbox(store, Journal(folder / JOURNAL, header))


def place_of(config: TrackingConfig) -> str:
    """Says where the runs are kept, without a password; opens nothing."""
    if config.name == "none":
        return "nowhere"
    uri = config.uri or os.environ.get("MLFLOW_TRACKING_URI")
    place = masked(uri) if uri else str(Path(config.dir).expanduser().resolve() / "mlflow.db")
    return f"{place}, experiment {config.experiment}"


def how_to_see(tracking: Tracking) -> list[str]:
    """Gives the lines that tell a person how to see the runs; none where nothing is kept."""
    command, page = tracking.how_to_open(), tracking.page()
    lines = [f"runs    {command}"] if command else []
    if page:
        lines.append(f"        {page}" if command else f"runs    {page}")
    return lines
