"""What a trial's run is called, and what ties it to the study and to the sweep's run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, Trial

from seqsweep.record import text
from seqsweep.search.workers.stops import RETRY_OF
from seqsweep.secrets import masked_values
from seqsweep.tracking import RunRecord
from seqsweep.tracking.base import SWEEP, TRIAL

RUN_KEY = "run_key"  # a trial's attribute: the key of its run
MODEL_KEY = "model_key"  # and of the run that has its model, where that is another
RUN_ID, MODEL_ID = "mlflow_run_id", "mlflow_model_id"  # and MLflow's ids, where known in time
LENGTH = "length"  # how far it got on the step axis, over all its seeds


def record_of(
    trial: Trial | FrozenTrial,
    study: str,
    sweep: str,
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> RunRecord:
    """Gives the record of a trial's run; `sweep` is the key of the sweep's run."""
    known = {"seqsweep.study": study, "seqsweep.kind": "trial", TRIAL: str(trial.number)}
    if (retry_of := trial.user_attrs.get(RETRY_OF)) is not None:
        known["seqsweep.retry_of"] = str(retry_of)
    return RunRecord(
        name=f"trial {trial.number} of {study}",
        parent=sweep,
        params=params,
        tags={**known, SWEEP: sweep, **tags},
    )


def searched(params: Mapping[str, Any]) -> dict[str, str]:
    """Gives what was searched, as params of a run: without secrets."""
    return {name.lstrip("+"): text(value) for name, value in masked_values(dict(params)).items()}
