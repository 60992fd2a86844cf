"""Sends what a sweep or a run could not: `python -m seqsweep.tracking.send FILE [ADDRESS]`.

FILE is the one that the sweep named. The ADDRESS of the MLflow store is needed only where that in
the file was a password's or is no longer right.
"""

from __future__ import annotations

import sys
from pathlib import Path

from seqsweep.config import TrackingConfig
from seqsweep.errors import TrackingError, UserError
from seqsweep.record import counted
from seqsweep.tracking.experiment import Experiment
from seqsweep.tracking.journal import Journal
from seqsweep.tracking.mlflow import MlflowStore
from seqsweep.tracking.outbox import Outbox

WAIT_S = 60.0


def main(arguments: list[str]) -> int:
    """Sends what lies in the file; gives the exit code."""
    if len(arguments) not in (1, 2) or arguments[0].startswith("-"):
        print(__doc__.splitlines()[0].partition(": ")[2].strip("`."), file=sys.stderr)
        return 2
    try:
        sent = send(Path(arguments[0]), *arguments[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"sent {counted(sent, 'record')}")
    return 0


def send(path: Path, uri: str | None = None) -> int:
    """Sends what lies in the journal `path`; gives how many records those were.

    Raises:
        TrackingError: the file cannot be read, or the store is away or refuses some of it.
    """
    header = Journal.header(path)
    config = TrackingConfig(
        name="mlflow",
        uri=uri or header["uri"],
        experiment=header["experiment"],
        dir=header["dir"],
        log_model=True,
        registered_model=None,
        wait=WAIT_S,
        system_metrics_every_s=None,
        pictures=False,
        hidden=[],
    )
    journal = Journal(path, header)
    count = len(journal.load())
    outbox = Outbox(MlflowStore(Experiment.open(config)), journal)
    if problem := outbox.flush(WAIT_S) or outbox.refusal():
        raise TrackingError(problem)
    return count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
