"""What MLflow has of a trial, where that is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seqsweep.errors import TrackingError

if TYPE_CHECKING:
    from seqsweep.search.reading import FrozenTrial
    from seqsweep.tracking.inspect import RunRow


@dataclass(frozen=True)
class Record:
    """A trial's run and model; `missing` says why the run could not be read."""

    run_id: str | None
    model_id: str | None
    run: RunRow | None = None
    missing: str = ""

    @property
    def model_uri(self) -> str | None:
        """The address by which MLflow loads the model."""
        return f"models:/{self.model_id}" if self.model_id else None

    @property
    def tests(self) -> dict[str, float]:
        """The metrics of the one look at the test data."""
        metrics = self.run.metrics if self.run else {}
        return {name: value for name, value in metrics.items() if name.startswith("test_")}


def record_of(trial: FrozenTrial, uri: str) -> Record:
    """Gives the record of a trial; what the study itself knows of it needs no MLflow."""
    from seqsweep.search.records import MODEL_ID, RUN_ID, RUN_KEY

    known = trial.user_attrs
    run_id, model_id = known.get(RUN_ID) or None, known.get(MODEL_ID) or None
    if run_id is None and RUN_KEY not in known:
        return Record(run_id, model_id)
    from seqsweep.tracking.inspect import read_run

    try:
        run = read_run(uri, run_id=run_id, key=known.get(RUN_KEY))
    except TrackingError as error:
        return Record(run_id, model_id, missing=str(error))
    if run is None:
        return Record(run_id, model_id)
    return Record(run.id, model_id or run.model_id, run)
