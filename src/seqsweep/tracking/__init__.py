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
    record,
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
    "record",
]

# MLflow reads this as it is imported, or at each run
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# It would print the server's address, with the password in it, at the end of each run, for which it
# reads the run once more.
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

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
    from seqsweep.tracking.experiment import Experiment
    from seqsweep.tracking.journal import Journal
    from seqsweep.tracking.mlflow import MlflowStore
    from seqsweep.tracking.outbox import Outbox

    experiment = Experiment.open(config)
    header = {
        "uri": masked(experiment.uri),
        "dir": str(experiment.folder),
        "experiment": config.experiment,
    }
    return Outbox(MlflowStore(experiment), Journal(folder / JOURNAL, header))


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
