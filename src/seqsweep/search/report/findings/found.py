"""A sweep as its findings see it, in the process that runs it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import optuna

from seqsweep.errors import first_line
from seqsweep.outcome import INTERRUPTED
from seqsweep.search.plan import Plan
from seqsweep.search.report.best import Scores, best_trials
from seqsweep.search.report.findings.hidden import without_secrets
from seqsweep.search.report.findings.snapshot import About, Snapshot
from seqsweep.search.report.origin import question
from seqsweep.search.workers.stops import Stop, retried_numbers
from seqsweep.secrets import masked


@dataclass
class Found:
    """What is known of a sweep by now.

    Attributes:
        stop: what ended it, None while it runs.
        evaluated: what the one look at each of the best gave, by number.
    """

    plan: Plan
    study: optuna.Study
    stop: Stop | None = None
    evaluated: dict[int, Scores] = field(default_factory=dict)

    @contextmanager
    def stopped_by_errors(self) -> Iterator[None]:
        """Takes what this block raises for what ended the sweep."""
        try:
            yield
        except BaseException as error:
            is_interrupt = isinstance(error, KeyboardInterrupt)
            says = INTERRUPTED if is_interrupt else first_line(error)
            self.stop = Stop("interrupt" if is_interrupt else "error", says, is_failure=True)
            raise

    def snapshot(self) -> Snapshot:
        """Gives it as it stands now."""
        trials = without_secrets(self.study.get_trials(deepcopy=False))
        return Snapshot(
            self._about(),
            trials,
            best=[trial.number for trial in best_trials(self.study)],
            retried=frozenset(retried_numbers(trials)),
            ended_by=self.stop and f"{self.stop.field}: {self.stop.says}",
            evaluated=dict(self.evaluated),
        )

    def _about(self) -> About:
        plan, settings = self.plan, self.plan.settings
        return About(
            study=plan.study_name,
            names=tuple(settings.names),
            directions=settings.direction,
            asks=question(plan.jobs.master),
            settings=plan.described(),
            space={parameter.name: parameter.described for parameter in plan.space.parameters},
            command=masked(shlex.join(["python", *sys.argv])),
            reruns=settings.rerun,
            unit=settings.step_unit,
        )
