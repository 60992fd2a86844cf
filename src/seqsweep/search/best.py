"""The best trials, and the one look that their models get at data no trial has seen."""

from __future__ import annotations

from dataclasses import replace

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from seqsweep.errors import SearchError
from seqsweep.outcome import Completed, Failed
from seqsweep.process.messages import Point
from seqsweep.process.parent import TrialProcess
from seqsweep.search.plan import Plan
from seqsweep.search.stops import is_feasible
from seqsweep.tracking import Run


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Gives the best completed trial, or with several objectives the Pareto front.

    None of them breaks a constraint; empty where there is no such trial. A front goes by the first
    objective, the best one first.
    """
    if len(study.directions) > 1:
        is_maximum = study.directions[0] is StudyDirection.MAXIMIZE
        return sorted(study.best_trials, key=lambda t: t.values[0], reverse=is_maximum)
    try:
        return [study.best_trial]
    except ValueError:
        return []


def is_best(study: optuna.Study, trial: optuna.Trial, outcome: Completed) -> bool:
    """Says whether a trial that ends now is better than all others, or belongs to the front."""
    try:
        if any(violation > 0 for violation in trial.constraints.values()):
            return False
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    except Exception:  # it is for the screen only, and the trial's run is closed already
        return False
    signs = [1 if d is StudyDirection.MAXIMIZE else -1 for d in study.directions]
    mine = [sign * value for sign, value in zip(signs, outcome.values, strict=True)]
    for other in filter(is_feasible, done):
        theirs = [sign * value for sign, value in zip(signs, other.values, strict=True)]
        if all(t >= m for t, m in zip(theirs, mine, strict=True)):
            return False
    return True


def evaluate_best(plan: Plan, best: FrozenTrial, *runs: Run) -> dict[str, float]:
    """Calls `hydra.sweeper.evaluate_best` in the best trial's folder; records what it reports.

    Of a trial that was repeated under several seeds it is the folder of the best one.

    Raises:
        SearchError: the function failed.
    """
    function = plan.settings.function("evaluate_best")
    if function is None:
        return {}
    jobs = plan.jobs.of_trial(dict(best.params), best.number, plan.slots[0])
    # whatever the function returns, what it reports is what counts
    job = replace(jobs[best.user_attrs.get("best_seed")], function=function, n_values=1)
    points: list[Point] = []
    outcome = TrialProcess(job).run(on_report=lambda _report: False, log=points.extend)
    if isinstance(outcome, Failed):
        raise SearchError(f"the best model could not be evaluated: {outcome.reason}")
    for run in runs:
        run.log(points)
    return {point.name: point.value for point in points}
