"""`seqsweep best`: the best trial of a sweep, its model, and how to train it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seqsweep.cli import places
from seqsweep.cli.options import Json, Storage, SweepArgument, TrackingUri
from seqsweep.cli.output import duration, print_json, say
from seqsweep.cli.records import Records
from seqsweep.errors import SearchError

if TYPE_CHECKING:
    from seqsweep.search.study.reading import Reading


def best(
    sweep: SweepArgument = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Show the best trial of a sweep, or its Pareto front; of the last sweep if none is named."""
    from seqsweep.search.study.reading import Reading, find_name, open_for_reading, readable

    place = places.studies(storage)
    with readable(place):
        store = open_for_reading(place)
        reading = Reading.of(store, find_name(store, sweep))
    found = described(reading, places.runs(tracking_uri))
    if json:
        print_json(found)
    elif not found["trials"]:
        counts = ", ".join(f"{count} {word}" for word, count in reading.counts.items() if count)
        raise SearchError(f"{reading.name} has no best trial yet: {counts or 'no trial'}")
    else:
        _print(reading, found["trials"])


def described(reading: Reading, uri: str) -> dict[str, Any]:
    """Gives the best trials of a sweep as plain values."""
    from seqsweep.search.report.commands import how_to_train_again
    from seqsweep.search.study.reading import evaluations
    from seqsweep.secrets import masked_values

    records = Records(uri)
    evaluated, trials = evaluations(reading.past), []
    for trial in reading.best:
        record = records.of(trial)
        again = how_to_train_again(reading.past, trial.params, record.run_id)
        trials.append(
            {
                "number": trial.number,
                "values": dict(zip(reading.names, trial.values, strict=True)),
                "values_by_seed": trial.user_attrs.get("values_by_seed"),
                "params": masked_values(dict(trial.params)),
                "evaluated": evaluated.get(trial.number) or record.tests,
                "seconds": trial.duration.total_seconds(),
                "run_id": record.run_id,
                "model": record.model_uri,
                "train_again": again,
                "missing": record.missing or None,
            }
        )
    objectives = dict(zip(reading.names, reading.directions, strict=True))
    return {"sweep": reading.name, "objectives": objectives, "trials": trials}


def _print(reading: Reading, trials: list[dict[str, Any]]) -> None:
    from datetime import timedelta

    from seqsweep.search.report.display import short_names, show, show_scores

    front = f", Pareto front of {len(trials)}" if len(reading.names) > 1 else ""
    say(f"{reading.name}{front}", style="bold")
    for trial in trials:
        reached = show_scores({**trial["values"], **trial["evaluated"]})
        took = duration(timedelta(seconds=trial["seconds"]))
        say(f"\ntrial {trial['number']}: {reached}, {took}")
        shorts = short_names(trial["params"])
        for key, value in trial["params"].items():
            say(f"  {shorts[key]} = {show(value)}")
        lines = {"run": "run_id", "model": "model", "again": "train_again", "MLflow": "missing"}
        for word, key in lines.items():
            if trial[key]:
                say(f"  {word:<6} {trial[key]}")
