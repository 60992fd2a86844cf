"""The worker: owns slots and runs the trials of a study, each in a process of its own."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.study import StudyDirection
from optuna.trial import TrialState

from seqsweep.outcome import INTERRUPTED, Completed, Failed, Outcome, Pruned
from seqsweep.process.child import Job
from seqsweep.process.messages import MODEL_FOLDER, OBJECTIVE, Judge, Point, Report
from seqsweep.process.parent import TrialProcess
from seqsweep.process.result import raised
from seqsweep.record import flatten, text, visible
from seqsweep.search.display import Display
from seqsweep.search.plan import Plan
from seqsweep.search.slots import Slot, SlotPool
from seqsweep.search.space import Value
from seqsweep.search.study import make_pruner, make_sampler, open_storage, silence_optuna
from seqsweep.signals import handled_by, let_the_next_one_kill
from seqsweep.terminal import Terminal
from seqsweep.tracking import Run, RunRecord, open_tracking

SIGNAL_S = 0.1  # by which the death of a trial may be seen before the signal that caused it


class TrialFailedError(Exception):
    """Tells Optuna that a trial ended without a value."""


@dataclass
class Worker:
    """A Hydra task that runs the trials of a plan; `sweep_run` is the id of the parent run.

    It crosses to other machines as a pickle, so it holds plain values; what it opens, it opens when
    it is called.
    """

    plan: Plan
    sweep_run: str

    def __call__(self, _config: DictConfig) -> bool:
        """Runs the trials; gives False where it was interrupted."""
        silence_optuna()
        _keep_logs_off_the_screen()
        return Session(self).run()


class Session:
    """One call of a worker: its open study, tracking, slots and running trials."""

    def __init__(self, worker: Worker) -> None:
        self._plan = plan = worker.plan
        self._worker = worker
        self._slots = plan.slots()
        self._pool = SlotPool(self._slots)
        self._study = optuna.load_study(
            study_name=plan.study_name,
            storage=open_storage(plan.storage),
            sampler=make_sampler(
                plan.settings.sampler,
                plan.space,
                seed=plan.settings.seed,
                n_slots=len(self._slots),
            ),
            pruner=make_pruner(plan.settings.pruner),
        )
        self._tracking = open_tracking(plan.settings.tracking)
        self._tags = {**plan.tags(), "seqsweep.study": plan.study_name, "seqsweep.kind": "trial"}
        self._display = Display(Terminal(), total=plan.n_trials, metric=plan.metric)
        self._suggesting = threading.Lock()
        self._composing = threading.Lock()
        self._judging = threading.Lock()
        self._running: dict[int, TrialProcess] = {}
        self._interrupted = threading.Event()

    def run(self) -> bool:
        """Runs the study's trials; gives False where it was interrupted."""
        with self._display, handled_by(self._interrupt):
            self._study.optimize(
                self._objective,
                n_trials=self._plan.n_trials,
                n_jobs=len(self._slots),
                catch=(TrialFailedError,),
                callbacks=[self._stop_if_interrupted],
            )
        return not self._interrupted.is_set()

    def _objective(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Runs one trial and tells Optuna how it ended."""
        with self._suggesting:  # a sampler is not made for several threads
            params = self._plan.space.suggest(trial)
        with self._pool.take() as slot, self._display.trial(trial.number, slot.name, params) as say:
            outcome = self._run_trial(trial, params, slot)
            say(outcome, best=isinstance(outcome, Completed) and self._is_best(outcome.values[0]))
        match outcome:
            case Completed(values):
                return values
            case Pruned(step):
                raise optuna.TrialPruned(f"at report {step}")
            case Failed(reason):
                trial.set_user_attr("reason", reason)
                raise TrialFailedError(reason)

    def _run_trial(self, trial: optuna.Trial, params: dict[str, Value], slot: Slot) -> Outcome:
        """Runs one trial from its composed config to its closed MLflow run.

        What goes wrong on this side of the pipe, in a store or in composing, ends this trial only,
        like what goes wrong on the other.
        """
        try:
            with self._composing:  # Hydra's loader is not made for several threads
                job = self._plan.job(params, trial.number, slot)
            values = visible(job.config, self._plan.settings.tracking.hidden)
            run = self._start_run(trial.number, params, values)
        except Exception as error:
            return raised(error)
        outcome: Outcome = Failed("the worker was ended")
        try:
            trial.set_user_attr("mlflow_run_id", run.id)
            run.add_text(OmegaConf.to_yaml(values), "config.yaml")
            outcome = self._run_process(trial, job, run)
            if isinstance(outcome, Completed):
                self._keep_result(trial, job, run, outcome.values[0])
        except Exception as error:
            outcome = raised(error)
        finally:
            outcome = _ended(run, outcome)
        return outcome

    def _start_run(self, number: int, params: dict[str, Value], values: dict[str, Any]) -> Run:
        searched = {name: text(value) for name, value in params.items()}
        return self._tracking.start(
            RunRecord(
                name=f"trial {number} of {self._plan.study_name}",
                parent=self._worker.sweep_run,
                params={**flatten(values), **searched},
                tags={**self._tags, "seqsweep.trial": str(number)},
            )
        )

    def _run_process(self, trial: optuna.Trial, job: Job, run: Run) -> Outcome:
        def on_report(report: Report) -> bool:
            self._display.progressed(trial.number, report)
            return report.judge is not None and self._judge(trial, report.judge)

        self._running[trial.number] = process = TrialProcess(job)
        try:
            if self._interrupted.is_set():
                process.kill(INTERRUPTED)
            outcome = process.run(on_report, log=run.log)
        finally:
            del self._running[trial.number]
        # A signal to the whole group ends the forkserver too: its trials seem to die by themselves
        if isinstance(outcome, Failed) and self._interrupted.wait(SIGNAL_S):
            return Failed(INTERRUPTED)
        return outcome

    def _judge(self, trial: optuna.Trial, judge: Judge) -> bool:
        """Tells the pruner the metric that it looks at, and asks it."""
        metric = self._plan.settings.metric or next(iter(judge.metrics))
        if metric not in judge.metrics:
            return False
        trial.report(judge.metrics[metric], judge.step)
        with self._judging:  # two at once set up Hyperband's brackets twice, which breaks the study
            return trial.should_prune()

    def _keep_result(self, trial: optuna.Trial, job: Job, run: Run, value: float) -> None:
        """Records the trial's value, and the MLflow model if the trial left one in its folder."""
        result = Point(OBJECTIVE, value, 0)
        model = job.folder / MODEL_FOLDER
        if self._plan.settings.tracking.log_model and (model / "MLmodel").exists():
            trial.set_user_attr("mlflow_model_id", run.add_model(model, [result]))
        else:
            run.log([result])

    def _is_best(self, value: float) -> bool:
        try:
            done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        except Exception:  # it is for the screen only, and the trial's run is closed already
            return False
        sign = 1 if self._study.direction is StudyDirection.MAXIMIZE else -1
        return all(sign * value > sign * other.value for other in done if other.value is not None)

    def _interrupt(self) -> None:
        """Ends the running trials; the next signal ends the program."""
        let_the_next_one_kill()
        self._interrupted.set()
        for process in list(self._running.values()):
            process.kill(INTERRUPTED)

    def _stop_if_interrupted(self, study: optuna.Study, _trial: optuna.trial.FrozenTrial) -> None:
        if self._interrupted.is_set():
            study.stop()


def _ended(run: Run, outcome: Outcome) -> Outcome:
    """Closes the run; a store that refuses makes a failure of the trial, so that both agree."""
    try:
        run.end(outcome)
    except Exception as error:
        return raised(error)
    return outcome


def _keep_logs_off_the_screen() -> None:
    """Leaves the worker's log to its file: the screen belongs to the display."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
