"""The report of a sweep in Markdown: what was asked, what was found, how sure that is."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Iterable, Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from seqsweep.record import counted, duration
from seqsweep.search.report.display import show, show_scores, show_value, show_values
from seqsweep.search.report.findings.snapshot import Snapshot, spread
from seqsweep.search.report.results import STATES
from seqsweep.search.study.records import RUN_ID
from seqsweep.search.workers.stops import is_feasible

RUNNERS_UP = 4  # trials behind the best one that are shown
MOST_REASONS = 5  # why trials failed, the most frequent first
MOST_OF_A_FRONT = 10

Importances = Mapping[str, Mapping[str, float]]  # by objective and parameter


def summary(snapshot: Snapshot, importances: Importances) -> str:
    """Gives the report; `importances` are those of the trials that completed."""
    about = snapshot.about
    parts = [
        f"# {about.study}",
        f"**Question.** {about.asks}" if about.asks else "",
        _best(snapshot, importances),
        _trials(snapshot),
        _cost(snapshot),
        _settings(snapshot),
        f"**Again.** All of it: `{about.command}`{_best_again(snapshot)}",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _best(snapshot: Snapshot, importances: Importances) -> str:
    if not snapshot.winners:
        return "**Best.** No trial has completed."
    if len(snapshot.about.names) > 1:
        return _front(snapshot, importances)
    (best,) = snapshot.winners
    reached = show_values(snapshot.about.names, best.values)
    if looked := snapshot.evaluated.get(best.number):
        reached += f"; looked at once on unseen data: {show_scores(looked)}"
    of = importances.get(snapshot.about.names[0], {})
    shares = {key: f"{of[short]:.2f}" for key, short in snapshot.short.items() if short in of}
    rows = [
        [f"`{key}`", show(value), shares.get(key, ""), _searched(snapshot, key)]
        for key, value in best.params.items()
    ]
    heads = ["parameter", "best", f"importance, of {len(snapshot.completed)} trials", "searched"]
    lines = [f"**Best.** Trial {best.number}: {reached}", _table(heads, rows)]
    return "\n\n".join([*lines, _sureness(snapshot, best)])


def _sureness(snapshot: Snapshot, best: FrozenTrial) -> str:
    """Says by how much the best one is ahead, and how far seeds lie apart where that is known."""
    name = snapshot.about.names[0]
    sentences = []
    if (seeds := spread(best)) is not None:
        mean, half, n = seeds
        sentences.append(
            f"Over {n} seeds its mean is {show_value(mean)} with a 95% interval of "
            f"{show_value(mean - half)} to {show_value(mean + half)}."
        )
    sign = 1 if snapshot.about.directions[0] == "maximize" else -1
    others = [t for t in snapshot.completed if t is not best and is_feasible(t)]
    others = sorted(others, key=lambda t: (-sign * t.values[0], t.number))[:RUNNERS_UP]
    if others:
        next_ones = ", ".join(f"{show_value(t.values[0])} (trial {t.number})" for t in others)
        sentences.append(f"The next best reached {name} {next_ones}.")
    if seeds is None:
        sentences.append(
            "Each set of values ran under one seed: how far chance moves it is not known; "
            "`hydra.sweeper.repeats=3` would say."
        )
    return "**How sure.** " + " ".join(sentences)


def _front(snapshot: Snapshot, importances: Importances) -> str:
    keys = list(dict.fromkeys(key for trial in snapshot.winners for key in trial.params))
    rows = [
        [
            str(trial.number),
            *map(show_value, trial.values),
            *(show(trial.params.get(key, "")) for key in keys),
            show_scores(snapshot.evaluated.get(trial.number, {})),
        ]
        for trial in snapshot.winners[:MOST_OF_A_FRONT]
    ]
    heads = ["trial", *snapshot.about.names, *(f"`{key}`" for key in keys), "looked at once"]
    lines = [f"**Pareto front.** {counted(len(snapshot.winners), 'trial')}", _table(heads, rows)]
    for name, of in importances.items():
        shares = ", ".join(f"`{key}` {value:.2f}" for key, value in of.items())
        lines.append(f"Importances for {name}: {shares}.")
    return "\n\n".join(lines)


def _trials(snapshot: Snapshot) -> str:
    settled = [t for t in snapshot.trials if t.number not in snapshot.retried]
    counts = collections.Counter(STATES[trial.state][0] for trial in settled)
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    ended = f"ended by {snapshot.ended_by}" if snapshot.ended_by else "still running"
    lines = [f"**Trials.** {said or 'none yet'}; {ended}"]
    pruned = collections.Counter(t.last_step for t in snapshot.of(TrialState.PRUNED))
    if pruned:
        at = ", ".join(f"{count} at report {step}" for step, count in sorted(pruned.items()))
        lines.append(f"- pruned: {at}")
    failed = snapshot.of(TrialState.FAIL)
    reasons = collections.Counter(t.user_attrs.get("reason", "unknown") for t in failed)
    for why, count in reasons.most_common(MOST_REASONS):
        lines.append(f"- failed, {counted(count, 'trial')}: {why}")
    if snapshot.retried:
        lines.append(f"- {len(snapshot.retried)} of the failed ones were tried again")
    return "\n".join([lines[0], "", *lines[1:]]) if lines[1:] else lines[0]


def _cost(snapshot: Snapshot) -> str:
    begun = [t.datetime_start for t in snapshot.trials if t.datetime_start]
    ended = [t.datetime_complete for t in snapshot.trials if t.datetime_complete]
    wall = (max(ended) - min(begun)) if ended and begun else datetime.timedelta()
    length = f", {snapshot.length:,} {snapshot.about.unit} in all" if snapshot.length else ""
    return (
        f"**Cost.** {duration(wall.total_seconds())} from the first trial's start to the last "
        f"one's end, {duration(snapshot.seconds)} of trials{length}"
    )


def _settings(snapshot: Snapshot) -> str:
    shown = ", ".join(f"{name} {value}" for name, value in snapshot.about.settings.items())
    return f"**Search.** {shown}"


def _best_again(snapshot: Snapshot) -> str:
    """Gives the command that trains the best trial again."""
    runs = [run for trial in snapshot.winners if (run := trial.user_attrs.get(RUN_ID))]
    if not runs or not snapshot.about.reruns:
        return ""
    return f"; the best trial alone: `{snapshot.about.reruns}{runs[0]}`"


def _searched(snapshot: Snapshot, key: str) -> str:
    return f"`{snapshot.about.space[key]}`" if key in snapshot.about.space else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)
