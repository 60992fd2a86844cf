"""The process that writes what a sweep has found: `python -m …findings.drawing FD`.

It has the sweep's trials from a pipe, so it needs no store, and the least priority, so it slows no
training. A figure that fails, or takes long, harms nothing but itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import optuna
from optuna.distributions import FloatDistribution

from seqsweep.errors import first_line
from seqsweep.folders import write_whole
from seqsweep.search.report.findings.figures import (
    Figure,
    draw_interactive,
    draw_picture,
    figures,
    page,
)
from seqsweep.search.report.findings.files import PAGE, PICTURES, Written, write_report
from seqsweep.search.report.findings.snapshot import About, Snapshot
from seqsweep.search.report.findings.summary import Importances

NICE = 10  # at 19 two trials on two cores leave it no time to import before they have ended


def write(snapshot: Snapshot, folder: Path) -> Written:
    """Writes report, table and figures into `folder`, each file whole or not at all."""
    importances = importances_of(snapshot)
    written = write_report(snapshot, folder, importances)
    return _draw(snapshot, folder, figures(snapshot, importances), written)


def _draw(snapshot: Snapshot, folder: Path, found: list[Figure], written: Written) -> Written:
    (folder / PICTURES).mkdir(exist_ok=True)
    interactive, pictures, problems = {}, [], []
    for figure in found:
        try:
            interactive[figure] = draw_interactive(figure)
            path = folder / PICTURES / f"{figure.name}.png"
            write_whole(path, draw_picture(figure))
            pictures.append(path.name)
        except Exception as error:  # a plotting library may raise anything on an odd study
            problems.append(f"{figure.name}: {first_line(error)}")
    title = f"{snapshot.about.study}, {len(snapshot.trials)} trials"
    write_whole(folder / PAGE, page(title, interactive).encode())
    drawn = {"pictures": tuple(pictures), "problems": tuple(problems), "has_page": True}
    return replace(written, **drawn)


def importances_of(snapshot: Snapshot) -> Importances:
    """Gives how much each parameter explains of each objective, the most important first.

    Empty where too few trials completed, or all reached the same.
    """
    found = {}
    study = snapshot.study()
    for index, name in enumerate(snapshot.about.names):
        if len({trial.values[index] for trial in snapshot.completed}) > 1:
            # a space of one point has none; of any target Optuna warns what it is taken for
            with contextlib.suppress(ValueError, RuntimeError), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found[name] = optuna.importance.get_param_importances(
                    study, target=snapshot.lower_is_better(index)
                )
    return found


def _warm_up() -> None:
    """Draws something: libraries import the rest of themselves only then, which takes 0.7 s.

    While trials train that is hidden; at the end of a sweep everybody would wait for it.
    """
    study = optuna.create_study()
    for value in (0.0, 1.0):
        study.add_trial(
            optuna.trial.create_trial(
                value=value,
                params={"x": value, "y": value},
                distributions=dict.fromkeys("xy", FloatDistribution(0, 1)),
            )
        )
    about = About("", ("value",), ("minimize",), None, {}, {}, "", None, "steps")
    snapshot = Snapshot(about, study.trials)
    for figure in figures(snapshot, importances_of(snapshot)):
        page("", {figure: draw_interactive(figure)})
        draw_picture(figure)


def main(pipe: Connection) -> None:
    """Answers each request, which are the arguments of `write`, until the pipe is closed."""
    os.nice(NICE)
    warnings.simplefilter("ignore")  # Optuna's, on what is experimental
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    _warm_up()
    with contextlib.suppress(EOFError, OSError):
        while True:
            snapshot, folder = pipe.recv()
            try:
                answer: Written | str = write(snapshot, folder)
            except Exception as error:
                answer = f"{type(error).__name__}: {first_line(error)}"
            pipe.send(answer)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
