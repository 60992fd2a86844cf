"""The best trial, and the one look that its model gets at data no trial has seen."""

from __future__ import annotations

from dataclasses import replace

import optuna

from seqsweep.errors import SearchError
from seqsweep.outcome import Failed
from seqsweep.process.messages import Point
from seqsweep.process.parent import TrialProcess
from seqsweep.search.plan import Plan
from seqsweep.tracking import Run


def best_trial(study: optuna.Study) -> optuna.trial.FrozenTrial | None:
    """Gives the best completed trial, None where none completed."""
    try:
        return study.best_trial
    except ValueError:
        return None


def evaluate_best(plan: Plan, best: optuna.trial.FrozenTrial, *runs: Run) -> dict[str, float]:
    """Calls `hydra.sweeper.evaluate_best` in the best trial's folder; records what it reports.

    Raises:
        SearchError: the function failed.
    """
    function = plan.settings.function("evaluate_best")
    if function is None:
        return {}
    job = replace(plan.job(dict(best.params), best.number, plan.slots()[0]), function=function)
    points: list[Point] = []
    outcome = TrialProcess(job).run(on_report=lambda _report: False, log=points.extend)
    if isinstance(outcome, Failed):
        raise SearchError(f"the best model could not be evaluated: {outcome.reason}")
    for run in runs:
        run.log(points)
    return {point.name: point.value for point in points}
