"""`seqsweep status`: what became of each sweep, or of one sweep's trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seqsweep.cli import places
from seqsweep.cli.options import Json, Storage, SweepArgument
from seqsweep.cli.output import ago, print_json, say, table

if TYPE_CHECKING:
    from seqsweep.search.study.reading import FrozenTrial, Reading

STYLES = {"running": "blue", "ended": "green", "interrupted": "yellow", "unknown": "dim"}


def status(sweep: SweepArgument = None, storage: Storage = None, json: Json = False) -> None:
    """Show each sweep: its trials, its best value, whether it runs; or one sweep's trials."""
    from seqsweep.search.study.reading import (
        Reading,
        find_name,
        open_for_reading,
        read_all,
        readable,
    )

    place = places.studies(storage)
    with readable(place):
        store = open_for_reading(place)
        if sweep is None:
            readings = read_all(store)
            show = _print_sweeps
        else:
            readings = [Reading.of(store, find_name(store, sweep))]
            show = _print_trials
    if not json:
        show(readings)
    elif sweep is None:
        print_json({"sweeps": [described(each) for each in readings]})
    else:
        (one,) = readings
        print_json({**described(one), "trials": [trial_values(t) for t in one.trials]})


def described(reading: Reading) -> dict[str, Any]:
    """Gives what is known of a sweep as a whole, as plain values."""
    from seqsweep.search.report.commands import how_to_go_on

    is_interrupted = reading.state == "interrupted"
    return {
        "name": reading.name,
        "objectives": dict(zip(reading.names, reading.directions, strict=True)),
        "state": reading.state,
        "where": reading.where or None,
        "ended_by": reading.ended_by,
        "go_on": how_to_go_on(reading.past) if is_interrupted else None,
        "n_trials": reading.n_trials,
        "n_settled": reading.n_settled,
        "counts": reading.counts,
        "best": [{"trial": t.number, "values": list(t.values)} for t in reading.best],
        "began": reading.began,
        "last_trial_ended": reading.last_end,
        "folder": reading.past.folder,
    }


def trial_values(trial: FrozenTrial) -> dict[str, Any]:
    """Gives a trial as plain values."""
    from seqsweep.search.report.results import STATES
    from seqsweep.search.study.past import reason_of

    return {
        "number": trial.number,
        "state": STATES[trial.state][0],
        "values": None if trial.values is None else list(trial.values),
        "params": dict(trial.params),
        "began": trial.datetime_start,
        "ended": trial.datetime_complete,
        "reason": reason_of(trial),
    }


def _print_sweeps(readings: list[Reading]) -> None:
    if not readings:
        say("no sweep yet")
        return
    words = readings[0].counts
    counted = [word for word in words if any(each.counts[word] for each in readings)]
    right = ("ended", *counted, "best")
    shown = table(
        "sweep", "objective", "ended", *counted, "best", "last ended", "state", right=right
    )
    for reading in readings:
        counts = reading.counts
        shown.add_row(
            reading.name,
            _objectives(reading),
            _of(reading),
            *(str(counts[word] or "") for word in counted),
            _best(reading),
            ago(reading.last_end),
            f"[{STYLES[reading.state]}]{_state(reading)}[/]",
        )
    from seqsweep.terminal import Terminal

    Terminal().print(shown, highlight=False)
    _say_how_to_go_on(readings)


def _print_trials(readings: list[Reading]) -> None:
    from seqsweep.search.report.results import print_table
    from seqsweep.terminal import Terminal

    (reading,) = readings
    counts = ", ".join(f"{count} {word}" for word, count in reading.counts.items() if count)
    say(f"Sweep {reading.name} ({_objectives(reading)}): {_state(reading)}, {_of(reading)} ended")
    print_table(Terminal(), reading.study, reading.best, list(reading.names))
    say(counts or "no trial")
    _say_how_to_go_on(readings)


def _objectives(reading: Reading) -> str:
    pairs = zip(reading.directions, reading.names, strict=True)
    return ", ".join(f"{direction} {name}" for direction, name in pairs)


def _of(reading: Reading) -> str:
    total = "" if reading.n_trials is None else f"/{reading.n_trials}"
    return f"{reading.n_settled}{total}"


def _best(reading: Reading) -> str:
    from seqsweep.search.report.display import show_value

    best = reading.best
    if len(reading.names) > 1:
        return f"{len(best)} on the front" if best else ""
    return show_value(best[0].value) if best else ""


def _state(reading: Reading) -> str:
    match reading.state:
        case "running":
            return f"running {reading.where}"
        case "ended":
            return f"ended by {reading.ended_by}"
    return reading.state


def _say_how_to_go_on(readings: list[Reading]) -> None:
    from seqsweep.search.report.commands import how_to_go_on

    for reading in readings:
        if reading.state == "interrupted":
            say(f"\n{reading.name} was interrupted; to go on: {how_to_go_on(reading.past)}")
