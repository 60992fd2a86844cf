"""What a sweep leaves for the reader: a table on the screen and `optimization_results.yaml`."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from seqsweep.folders import write_whole
from seqsweep.search.report.display import (
    short_names,
    show,
    show_params,
    show_scores,
    show_value,
    show_values,
)
from seqsweep.search.report.intervals import BY_SEED, by_seed, interval
from seqsweep.search.workers.stops import RETRY_OF, Stop, is_feasible, retried_numbers
from seqsweep.secrets import masked_values, masked_yaml

RESULTS = "optimization_results.yaml"  # in the sweep's folder, as with Hydra's own Optuna sweeper
MOST_ROWS = 30  # a longer sweep shows its best
LINES_BESIDE = 18  # of what else is said at the end of a sweep, on the same screen
FEWEST_ROWS = 5

STATES = {
    TrialState.COMPLETE: ("completed", "green"),
    TrialState.PRUNED: ("pruned", "yellow"),
    TrialState.FAIL: ("failed", "red"),
    TrialState.RUNNING: ("running", "blue"),
    TrialState.WAITING: ("waiting", "blue"),
}


def rows_of_a_screen(console: Console) -> int:
    """Gives how many trials a report may show that is to fit the screen."""
    if not console.is_terminal:
        return MOST_ROWS
    return max(FEWEST_ROWS, min(MOST_ROWS, console.height - LINES_BESIDE))


def print_table(
    console: Console,
    study: optuna.Study,
    best: Sequence[FrozenTrial],
    names: Sequence[str],
    *,
    most: int = MOST_ROWS,
) -> None:
    """Prints a row for each trial, or for the best `most` where there are more."""
    trials = study.get_trials(deepcopy=False)
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    shorts = short_names(dict.fromkeys(keys))
    rows = _rows(trials, study, most)
    title = f"the best {len(rows)} of {len(trials)} trials" if len(rows) < len(trials) else None
    table = Table(title=title, box=None, header_style="bold", pad_edge=False)
    for column in ("trial", *names, *(shorts[key] for key in keys), "time"):
        table.add_column(column, justify="right")
    winners = {trial.number for trial in best}
    for trial in rows:
        is_best = trial.number in winners
        outcome, style = STATES[trial.state]
        values = _values(trial, outcome, len(names))
        params = masked_values(dict(trial.params))
        table.add_row(
            f"{trial.number} *" if is_best else str(trial.number),
            *(f"[{style}]{value}[/]" for value in values),
            *(escape(show(params.get(key, ""))) for key in keys),
            f"{trial.duration.total_seconds():.1f} s" if trial.duration else "",
            style="bold" if is_best else None,
        )
    console.print(table)


def _values(trial: FrozenTrial, outcome: str, n_values: int) -> list[str]:
    if trial.state is not TrialState.COMPLETE:
        return [outcome] + [""] * (n_values - 1)
    mark = "" if is_feasible(trial) else " !"
    values = enumerate(trial.values)
    return [f"{show_value(value)}{_spread(trial, number)}{mark}" for number, value in values]


def _spread(trial: FrozenTrial, objective: int) -> str:
    """Writes half the width of the 95% interval of a trial that was repeated."""
    values = by_seed(trial, objective).values()
    return f" ± {show_value(interval([*values]).half_width)}" if values else ""


def print_end(console: Console, study: optuna.Study, stop: Stop) -> None:
    """Prints how many trials ended how, and what ended the sweep where that is no failure."""
    trials = study.get_trials(deepcopy=False)
    counts = collections.Counter(STATES[trial.state][0] for trial in trials)
    words = [f"{count} {outcome}" for outcome, count in counts.items()]
    left = sum(
        trial.state is TrialState.WAITING and RETRY_OF in trial.user_attrs for trial in trials
    )
    again = len(retried_numbers(trials)) - left
    twins = sum("duplicate_of" in trial.user_attrs for trial in trials)
    broken = sum(not is_feasible(trial) for trial in trials)
    words += [f"{again} of them tried again"] if again else []
    fate = "not tried again any more" if stop.ends_the_study else "to be tried again"
    words += [f"{left} of them {fate}"] if left else []
    words += [f"{twins} not trained, as their values had been"] if twins else []
    words += [f"{broken} break a constraint (!)"] if broken else []
    console.print(", ".join(words) or "no trial", highlight=False)
    if not stop.is_failure:
        console.print(f"ended by {stop.field}: {escape(stop.says)}", highlight=False)


def _rows(trials: Sequence[FrozenTrial], study: optuna.Study, most: int) -> Sequence[FrozenTrial]:
    if len(trials) <= most:
        return trials
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    sign = 1 if study.directions[0] is StudyDirection.MAXIMIZE else -1
    return sorted(completed, key=lambda t: (not is_feasible(t), -sign * t.values[0]))[:most]


def print_best(
    console: Console,
    best: Sequence[FrozenTrial],
    names: Sequence[str],
    evaluated: Mapping[int, Mapping[str, float]],
) -> None:
    """Prints the best trials with their parameters and what the last look at each gave."""
    if len(names) > 1:
        _print_front(console, best, names, evaluated)
        return
    (trial,) = best
    reached = show_values(names, trial.values) + _spread(trial, 0)
    if seeds := by_seed(trial):
        values = ", ".join(map(show_value, seeds.values()))
        reached += f" (95%; mean of {len(seeds)} seeds: {values})"
    reached = ", ".join(filter(None, [reached, show_scores(evaluated.get(trial.number, {}))]))
    console.print(f"\nBest: [bold]trial {trial.number}[/], {escape(reached)}", highlight=False)
    shorts = short_names(trial.params)
    for key, value in masked_values(dict(trial.params)).items():
        console.print(f"  {escape(shorts[key])} = {escape(show(value))}", highlight=False)


def _print_front(
    console: Console,
    best: Sequence[FrozenTrial],
    names: Sequence[str],
    evaluated: Mapping[int, Mapping[str, float]],
) -> None:
    console.print(f"\nPareto front: [bold]{len(best)} of the trials[/]", highlight=False)
    for trial in best:
        values = (
            f"{show_values(names, trial.values)} {show_scores(evaluated.get(trial.number, {}))}"
        )
        console.print(
            f"  [bold]trial {trial.number}[/]  {escape(values)}  "
            f"[dim]{escape(show_params(trial.params))}[/]",
            highlight=False,
            soft_wrap=True,
        )


def write_results(
    folder: Path,
    best: Sequence[FrozenTrial],
    stop: Stop,
    evaluated: Mapping[int, Mapping[str, float]],
    *,
    n_objectives: int,
) -> Path:
    """Writes `optimization_results.yaml`, as Hydra's own Optuna sweeper does and more."""
    results: dict[str, Any] = {"name": "optuna", "ended_by": stop.field}
    if n_objectives > 1:
        results["solutions"] = [
            {
                "params": dict(t.params),
                "values": list(t.values),
                "trial": t.number,
                **_more(t, evaluated),
            }
            for t in best
        ]
    elif best:
        (trial,) = best
        results |= {"best_params": dict(trial.params), "best_value": trial.value}
        results |= {"best_trial": trial.number, **_more(trial, evaluated)}
    path = folder / RESULTS
    write_whole(path, masked_yaml(results).encode())
    return path


def _more(trial: FrozenTrial, evaluated: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    more = {
        "mlflow_run_id": trial.user_attrs.get("mlflow_run_id") or None,
        "evaluated": dict(evaluated.get(trial.number, {})),
    }
    if BY_SEED in trial.user_attrs:
        more[BY_SEED] = trial.user_attrs[BY_SEED]
    return more
