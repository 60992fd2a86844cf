"""`seqsweep compare`: two sweeps, or two trials, side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from seqsweep.cli import places
from seqsweep.cli.options import Json, Storage, TrackingUri
from seqsweep.cli.output import duration, plain, print_json, say, table
from seqsweep.cli.records import Records
from seqsweep.errors import SearchError, TrackingError

if TYPE_CHECKING:
    from seqsweep.search.study.reading import FrozenTrial, Reading
    from seqsweep.tracking.inspect import RunRow

RUN_ID = re.compile(r"[0-9a-f]{32}")
ONE = "A sweep, a trial as SWEEP/NUMBER, or an MLflow run's id."

# What is compared, by section and then by name.
Sections = dict[str, dict[str, Any]]


def compare(
    a: Annotated[str, typer.Argument(help=ONE)],
    b: Annotated[str, typer.Argument(help=ONE)],
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Show two sweeps, or two trials, side by side: what differs, and what came of it."""
    uri = places.runs(tracking_uri)
    records = Records(uri)
    left, right = (_find(each, places.studies(storage), records) for each in (a, b))
    if left.kind != right.kind:
        raise SearchError(
            f"{a} is a {left.kind} and {b} a {right.kind}: two sweeps are compared, or two trials"
        )
    rows = _rows(left.sections, right.sections)
    missing = left.missing or right.missing
    if json:
        print_json({"a": a, "b": b, "sections": rows, "missing": missing or None})
        return
    _print(a, b, rows)
    if missing:
        say(f"without MLflow: {missing}", style="yellow")


@dataclass(frozen=True)
class Side:
    """One of the two; `missing` says why MLflow's part of it could not be read."""

    kind: Literal["sweep", "trial"]
    sections: Sections
    missing: str = ""


def _find(wanted: str, place: str, records: Records) -> Side:
    """Gives what is named.

    Raises:
        UserError: there is none.
    """
    if RUN_ID.fullmatch(wanted):
        return Side("trial", _of_run(_run(wanted, records.uri)))
    from seqsweep.search.study.reading import Reading, find_name, open_for_reading, readable

    sweep, slash, number = wanted.rpartition("/")
    with readable(place):
        store = open_for_reading(place)
        if not slash:
            return Side("sweep", _of_sweep(Reading.of(store, find_name(store, wanted))))
        reading = Reading.of(store, find_name(store, sweep))
    trial = _trial(reading, number)
    record = records.of(trial)
    return Side("trial", _of_trial(reading, trial, record.run), record.missing)


def _run(run_id: str, uri: str) -> RunRow:
    from seqsweep.tracking.inspect import read_run

    if (run := read_run(uri, run_id=run_id)) is None:
        raise TrackingError(f"the MLflow store {uri} has no run {run_id}")
    return run


def _trial(reading: Reading, number: str) -> FrozenTrial:
    if number.isdecimal() and int(number) < len(reading.trials):
        return reading.trials[int(number)]
    raise SearchError(
        f"{reading.name} has no trial {number!r}; it has 0 to {len(reading.trials) - 1}"
    )


def _of_sweep(reading: Reading) -> Sections:
    from seqsweep.search.space.ranges import space_of
    from seqsweep.secrets import masked_values

    best = reading.best[0] if reading.best else None
    took = [trial.duration for trial in reading.trials if trial.duration]
    span = reading.last_end - reading.began if reading.last_end and reading.began else None
    values = dict(zip(reading.names, best.values, strict=True)) if best else {}
    return {
        "best": {**values, "trial": best.number if best else None},
        "trials": {**reading.counts, "n_trials": reading.n_trials, "ended by": reading.ended_by},
        "time": {
            "first begin to last end": span,
            "all trials": sum(took[1:], took[0]) if took else None,
        },
        "space": space_of(reading.past.attributes),
        "best parameters": masked_values(dict(best.params)) if best else {},
    }


def _of_trial(reading: Reading, trial: FrozenTrial, run: RunRow | None) -> Sections:
    from seqsweep.search.report.results import STATES
    from seqsweep.secrets import masked_values

    others = run.params if run else {}  # the rest of the config
    params = masked_values(dict(trial.params))
    values = dict(zip(reading.names, trial.values or (), strict=False))
    return {
        "parameters": {**others, **{k.lstrip("+"): v for k, v in params.items()}},
        "values": {"state": STATES[trial.state][0], **values},
        "times": {"began": trial.datetime_start, "took": trial.duration},
        "metrics": run.metrics if run else {},
    }


def _of_run(run: RunRow) -> Sections:
    took = run.ended - run.began if run.ended and run.began else None
    objectives = {k: v for k, v in run.metrics.items() if k.startswith("objective")}
    return {
        "parameters": run.params,
        "values": {"state": run.tags.get("seqsweep.outcome", run.status.lower()), **objectives},
        "times": {"began": run.began, "took": took},
        "metrics": run.metrics,
    }


def _rows(left: Sections, right: Sections) -> dict[str, list[dict[str, Any]]]:
    """Gives the rows of each section; what was set comes with what differs first."""
    rows = {}
    for section in left:
        a, b = left[section], right[section]
        found = [
            {"name": key, "a": _value(a.get(key)), "b": _value(b.get(key))} for key in {**a, **b}
        ]
        for row in found:
            row["differs"] = _text(row["a"]) != _text(row["b"])
        is_set = section in ("parameters", "space", "best parameters")
        rows[section] = sorted(found, key=lambda row: is_set and not row["differs"])
    return rows


def _value(value: Any) -> Any:
    """Gives a value as JSON has it; a time span as its seconds."""
    return value.total_seconds() if hasattr(value, "total_seconds") else plain(value)


def _text(value: Any) -> str:
    """Writes a value as MLflow keeps it, so that a trial's and a run's compare."""
    from seqsweep.record import text

    return text(value)


def _print(a: str, b: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    from datetime import timedelta

    from rich.markup import escape

    from seqsweep.search.report.display import show, show_value
    from seqsweep.terminal import Terminal

    def shown(section: str, value: Any) -> str:
        if value is None:
            return ""
        if section.startswith("time"):
            is_span = isinstance(value, float)
            return duration(timedelta(seconds=value)) if is_span else value[:19].replace("T", " ")
        is_measured = section in ("best", "values", "metrics") and isinstance(value, float)
        return show_value(value) if is_measured else escape(show(value))

    made = table("", a, b, "")
    for section, found in rows.items():
        if found:
            made.add_row(f"[bold]{section}[/]")
        for row in found:
            cells = [shown(section, row[side]) for side in ("a", "b")]
            mark, style = ("≠", "yellow") if row["differs"] else ("", None)
            made.add_row(f"  {escape(row['name'])}", *cells, mark, style=style)
    Terminal().print(made, highlight=False)
