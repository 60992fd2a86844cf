"""Optuna's figures of a sweep, as one interactive page and as pictures.

The page holds them all, so that the script which draws them, 5 MB, is in it once; MLflow shows it
in a frame that may load nothing else.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import optuna.visualization
import optuna.visualization.matplotlib
import plotly.io
import plotly.offline
from matplotlib import pyplot
from optuna.trial import TrialState

from seqsweep.search.report.findings.snapshot import Snapshot

MOST_CURVES = 100  # beside more of them none can be made out
MOST_BARS = 500  # of the timeline
MOST_LINES = 2000  # of parallel coordinates, and the points of slices
MOST_POINTS = 300  # of a contour, whose grid grows with their square
PRUNED = "dot"  # the line of a trial that was pruned

# A figure is drawn by one of Optuna's two modules, which have the same functions.
Draw = Callable[[ModuleType], Any]


@dataclass(frozen=True)
class Figure:
    """A figure that can be drawn: what it is called as a file, its heading, and how."""

    name: str
    title: str
    draw: Draw


def figures(snapshot: Snapshot, importances: Mapping[str, Mapping[str, float]]) -> list[Figure]:
    """Gives the figures that the trials so far allow.

    Args:
        snapshot: the sweep.
        importances: of the parameters, for each objective by its name.
    """
    found: list[Figure] = []
    for index, name in enumerate(snapshot.about.names):
        found += _of_objective(snapshot, index, name, list(importances.get(name, ())))
    return [*found, *_of_all(snapshot)]


def _of_all(snapshot: Snapshot) -> Iterator[Figure]:
    curves, timed = snapshot.study(MOST_CURVES), snapshot.study()
    if len(snapshot.about.names) > 1 and snapshot.completed:
        names = list(snapshot.about.names)
        if len(names) < 4:  # more axes than it can draw
            yield Figure(
                "pareto_front",
                "Pareto front",
                lambda v: v.plot_pareto_front(timed, target_names=names),
            )
    if any(trial.intermediate_values for trial in snapshot.trials):
        most = f", the best {MOST_CURVES} trials" if len(snapshot.trials) > MOST_CURVES else ""
        yield Figure(
            "intermediate_values",
            f"What the pruner saw{most}; dotted: pruned",
            lambda v: _mark_pruned(v.plot_intermediate_values(curves), curves),
        )
    if snapshot.of(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
        yield Figure(
            "timeline", "Timeline", lambda v: v.plot_timeline(timed, n_recent_trials=MOST_BARS)
        )


def _of_objective(
    snapshot: Snapshot, index: int, name: str, by_importance: list[str]
) -> Iterator[Figure]:
    if not snapshot.completed:
        return
    study, some = snapshot.study(), snapshot.study(MOST_LINES)
    is_one = len(snapshot.about.names) == 1
    of = "" if is_one else f"{_file_name(index, snapshot.about.names)}_"
    target = {"target": lambda trial: trial.values[index], "target_name": name}
    whole = {"target_name": name} if is_one else target

    def figure(kind: str, title: str, study=study, **more: Any) -> Figure:
        function, arguments = f"plot_{kind}", {**whole, **more}
        heading = title if is_one else f"{title}: {name}"
        return Figure(f"{of}{kind}", heading, lambda v: getattr(v, function)(study, **arguments))

    yield figure("optimization_history", "History")
    if by_importance:
        yield figure("param_importances", "Importances", target=snapshot.lower_is_better(index))
    yield figure("parallel_coordinate", "Parallel coordinates", some)
    yield figure("slice", "Each parameter by itself", some)
    if len(by_importance) > 1:
        first, second = by_importance[:2]
        title = f"{first} and {second}, the two most important"
        points = snapshot.study(MOST_POINTS)
        yield figure("contour", title, points, params=[first, second])
    yield figure("edf", "Share of the trials up to each value")


def _file_name(index: int, names: Sequence[str]) -> str:
    """Gives an objective's name as one of a file, and of an element of the page."""
    written = [re.sub(r"[^\w-]", "_", name, flags=re.ASCII) for name in names]
    is_one = written.count(written[index]) == 1
    return written[index] if is_one else f"{written[index]}_{index}"


def _mark_pruned(figure: Any, study: optuna.Study) -> Any:
    """Lets the curve of a trial that was pruned be dotted, with a cross where it ended."""
    states = (TrialState.PRUNED, TrialState.COMPLETE, TrialState.RUNNING)  # as Optuna takes them
    drawn = [t for t in study.get_trials(states=states) if t.intermediate_values]
    is_plotly = hasattr(figure, "data")
    for trial, curve in zip(drawn, figure.data if is_plotly else figure.lines, strict=True):
        if trial.state is not TrialState.PRUNED:
            continue
        last = len(trial.intermediate_values) - 1
        if is_plotly:
            symbols = ["circle"] * last + ["x"]
            curve.update(line={"dash": PRUNED}, marker={"symbol": symbols}, opacity=0.6)
        else:
            curve.set(linestyle=":", marker="x", markevery=[last])
    return figure


def page(title: str, drawn: Mapping[Figure, Any]) -> str:
    """Gives the page of all figures; it needs no network."""
    heads = "".join(f'<a href="#{f.name}">{html.escape(f.title)}</a> ' for f in drawn)
    parts = [
        f'<h2 id="{figure.name}">{html.escape(figure.title)}</h2>'
        + plotly.io.to_html(shown, include_plotlyjs=False, full_html=False, default_height="480px")
        for figure, shown in drawn.items()
    ]
    script = plotly.offline.get_plotlyjs()
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        "<style>body{font:15px system-ui,sans-serif;margin:1.5em;max-width:1100px}"
        "nav a{margin-right:1em}h2{font-size:1.1em;margin:1.5em 0 0}</style>"
        f"<h1>{html.escape(title)}</h1><nav>{heads}</nav>"
        f"<script>{script}</script>{''.join(parts)}</html>"
    )


def draw_interactive(figure: Figure) -> Any:
    """Gives the figure as Plotly's."""
    shown = figure.draw(optuna.visualization)
    return shown.update_layout(title=None, template="plotly_white", margin={"t": 20})


def draw_picture(figure: Figure) -> bytes:
    """Gives the figure as a PNG."""
    axes = np.ravel(figure.draw(optuna.visualization.matplotlib))[0]
    if (legend := axes.get_legend()) is not None and len(legend.get_texts()) > 20:
        legend.remove()
    axes.set_title("" if len(axes.figure.axes) > 2 else figure.title)
    picture = io.BytesIO()
    axes.figure.savefig(picture, format="png", dpi=120, bbox_inches="tight")
    pyplot.close("all")
    return picture.getvalue()
