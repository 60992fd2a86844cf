"""What MLflow has of a trial, where that is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seqsweep.errors import TrackingError

if TYPE_CHECKING:
    from seqsweep.search.study.reading import FrozenTrial
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


@dataclass
class Records:
    """The records of trials in the MLflow store `uri`; one that fails is asked no more."""

    uri: str
    missing: str = ""

    def of(self, trial: FrozenTrial) -> Record:
        """Gives the record of a trial; what the study itself knows of it needs no MLflow."""
        from seqsweep.search.study.records import MODEL_ID, RUN_ID, RUN_KEY

        known = trial.user_attrs
        run_id, model_id = known.get(RUN_ID) or None, known.get(MODEL_ID) or None
        if run_id is None and RUN_KEY not in known:
            return Record(run_id, model_id)
        run = self._read(run_id, known.get(RUN_KEY))
        if run is None:
            return Record(run_id, model_id, missing=self.missing)
        return Record(run.id, model_id or run.model_id, run)

    def _read(self, run_id: str | None, key: str | None) -> RunRow | None:
        from seqsweep.tracking.inspect import read_run

        if self.missing:
            return None
        try:
            return read_run(self.uri, run_id=run_id, key=key)
        except TrackingError as error:
            self.missing = str(error)
            return None
