"""What a sweep leaves for the reader: a table on the screen and `optimization_results.yaml`."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from seqsweep.search.display import short_names, show

MOST_ROWS = 30  # what fits one screen; a longer sweep shows its best

STATES = {
    TrialState.COMPLETE: ("completed", "green"),
    TrialState.PRUNED: ("pruned", "yellow"),
    TrialState.FAIL: ("failed", "red"),
    TrialState.RUNNING: ("running", "blue"),
    TrialState.WAITING: ("waiting", "blue"),
}


def print_table(
    console: Console, study: optuna.Study, best: FrozenTrial | None, metric: str
) -> None:
    """Prints a row for each trial, or for the best ones of a long sweep."""
    trials = study.get_trials(deepcopy=False)
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    names = short_names(dict.fromkeys(keys))
    title = f"the best {MOST_ROWS} of {len(trials)} trials" if len(trials) > MOST_ROWS else None
    table = Table(title=title, box=None, header_style="bold", pad_edge=False)
    for column in ("trial", metric, *(names[key] for key in keys), "time"):
        table.add_column(column, justify="right")
    for trial in _rows(trials, study.direction):
        is_best = best is not None and trial.number == best.number
        outcome, style = STATES[trial.state]
        value = f"{trial.value:.4f}" if trial.state is TrialState.COMPLETE else outcome
        table.add_row(
            f"{trial.number} *" if is_best else str(trial.number),
            f"[{style}]{value}[/]",
            *(escape(show(trial.params.get(key, ""))) for key in keys),
            f"{trial.duration.total_seconds():.1f} s" if trial.duration else "",
            style="bold" if is_best else None,
        )
    console.print(table)
    counts = collections.Counter(STATES[trial.state][0] for trial in trials)
    console.print(
        ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no trial"
    )


def _rows(
    trials: Sequence[FrozenTrial], direction: optuna.study.StudyDirection
) -> Sequence[FrozenTrial]:
    if len(trials) <= MOST_ROWS:
        return trials
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    maximize = direction is optuna.study.StudyDirection.MAXIMIZE
    return sorted(completed, key=lambda trial: trial.value, reverse=maximize)[:MOST_ROWS]


def print_best(
    console: Console, best: FrozenTrial, metric: str, evaluated: Mapping[str, float]
) -> None:
    """Prints the best trial with its parameters and what the last look at it gave."""
    names = short_names(best.params)
    values = {metric: best.value, **evaluated}
    reached = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
    console.print(f"\nBest: [bold]trial {best.number}[/], {escape(reached)}", highlight=False)
    for key, value in best.params.items():
        console.print(f"  {escape(names[key])} = {escape(show(value))}", highlight=False)


def write_results(folder: Path, best: FrozenTrial | None, evaluated: Mapping[str, float]) -> None:
    """Writes `optimization_results.yaml`, as Hydra's own Optuna sweeper does and more."""
    results: dict[str, Any] = {"name": "optuna"}
    if best is not None:
        results |= {
            "best_params": dict(best.params),
            "best_value": best.value,
            "best_trial": best.number,
            "mlflow_run_id": best.user_attrs.get("mlflow_run_id") or None,
            "evaluated": dict(evaluated),
        }
    OmegaConf.save(OmegaConf.create(results), folder / "optimization_results.yaml")
