"""The trials of a sweep as a table, in the form that MLflow shows."""

from __future__ import annotations

from typing import Any

from optuna.trial import FrozenTrial

from seqsweep.search.report.findings.snapshot import Snapshot
from seqsweep.search.study.records import LENGTH, RUN_ID


def table(snapshot: Snapshot) -> dict[str, list[Any]]:
    """Gives columns and rows as pandas' orientation `split` has them, a row for each trial."""
    keys = list(dict.fromkeys(key for trial in snapshot.trials for key in trial.params))
    about = snapshot.about
    columns = ["trial", "outcome", *about.names, *keys, "seconds", about.unit, "why", "run"]
    return {"columns": columns, "data": [_row(t, keys, snapshot) for t in snapshot.trials]}


def _row(trial: FrozenTrial, keys: list[str], snapshot: Snapshot) -> list[Any]:
    from seqsweep.search.report.results import STATES

    values = trial.values or [None] * len(snapshot.about.names)
    seconds = round(trial.duration.total_seconds(), 2) if trial.duration else None
    return [
        trial.number,
        STATES[trial.state][0],
        *values,
        *(trial.params.get(key) for key in keys),
        seconds,
        trial.user_attrs.get(LENGTH),
        trial.user_attrs.get("reason"),
        trial.user_attrs.get(RUN_ID),
    ]
