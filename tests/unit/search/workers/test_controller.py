"""What the program does that a user started, while a launcher's workers run the trials."""

import io
import signal
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import optuna
import pytest
from hydra.core.utils import JobReturn, JobStatus
from optuna.distributions import FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import create_trial
from rich.console import Console

from seqsweep.errors import SearchError
from seqsweep.search.workers import controller as controller_module
from seqsweep.search.workers.controller import Controller
from seqsweep.search.workers.launcher import Kind
from seqsweep.search.workers.stops import INTERRUPT

N_TRIALS = 3
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


class Program:
    """A Controller over a study in memory."""

    def __init__(self, folder, settings, launcher: Kind) -> None:
        self._storage = optuna.storages.InMemoryStorage()
        self.study = optuna.create_study(storage=self._storage, study_name="study-1")
        self._storage.close = self._storage.hurry = lambda: None
        plan = SimpleNamespace(
            connect=lambda _on_lost: self._storage,
            study_name="study-1",
            n_trials=N_TRIALS,
            n_slots=1,
            settings=settings,
            folder=folder,
            launcher=launcher,
            holder=SimpleNamespace(token="token"),
        )
        crew = SimpleNamespace(size=1, look_s=0.0, timeout_s=None)
        tracking = SimpleNamespace(tell=lambda _listener: None, running=lambda _sweep: [])
        self.controller = Controller(plan, crew, tracking, "run", Console(file=io.StringIO()))

    def lose_the_store(self) -> None:
        def get_all_trials(*_arguments, **_named) -> None:
            raise StorageInternalError("the server is away")

        self._storage.get_all_trials = get_all_trials

    def complete_all(self) -> None:
        for _ in range(N_TRIALS):
            x = {"x": FloatDistribution(0, 1)}
            self.study.add_trial(create_trial(value=0.5, params={"x": 0.5}, distributions=x))


@pytest.fixture
def fast(monkeypatch) -> None:
    monkeypatch.setattr(controller_module, "LOOK_S", 0.02)
    monkeypatch.setattr(controller_module, "LEAVE_S", 0.0)


@pytest.fixture
def program(tmp_path, settings, fast):
    quick = settings(n_trials=N_TRIALS)
    quick = replace(quick, tracking=replace(quick.tracking, wait=0.0))
    return lambda launcher: Program(tmp_path, quick, launcher)


def test_a_launcher_that_ends_just_as_it_was_to_be_left_interrupts_nothing(program, monkeypatch):
    is_to_be_left = threading.Event()

    def kill_late(thread: int, number: int) -> None:
        is_to_be_left.set()
        time.sleep(0.05)
        signal.pthread_kill(thread, number)

    late = SimpleNamespace(**{**vars(signal), "pthread_kill": kill_late})
    monkeypatch.setattr(controller_module, "signal", late)
    monkeypatch.setattr(controller_module, "LOOK_S", 0.1)
    a_program = program(Kind("ray"))

    def launch() -> list:
        a_program.complete_all()
        assert is_to_be_left.wait(10)
        return []

    assert a_program.controller.run(launch).field == "n_trials"


def test_no_jobs_are_added_to_those_that_a_queue_still_has(program, monkeypatch):
    a_program = program(Kind("submitit_slurm"))
    asked, launched = [], []

    def has_jobs(_kind: Kind) -> bool:
        asked.append(True)
        if len(asked) == 3:  # the job that waited has run
            a_program.complete_all()
        return len(asked) < 3

    def launch() -> list:
        launched.append(True)
        raise RuntimeError("the first job was killed")

    monkeypatch.setattr(controller_module, "has_jobs", has_jobs)
    assert a_program.controller.run(launch).field == "n_trials"
    assert len(launched) == 1


def test_an_interrupt_ends_the_program_although_the_store_is_away(program):
    a_program = program(Kind("joblib", ends_all=True))

    def launch() -> list:
        signal.raise_signal(signal.SIGINT)
        a_program.lose_the_store()
        return []

    assert a_program.controller.run(launch) == INTERRUPT


def refused() -> list[JobReturn]:
    return [JobReturn(status=JobStatus.FAILED, _return_value=SearchError("no GPU here"))]


def test_a_worker_that_refuses_to_run_fails_no_sweep_that_others_finish(program):
    a_program = program(Kind("ray"))

    def launch() -> list[JobReturn]:
        a_program.complete_all()
        return refused()

    assert a_program.controller.run(launch).field == "n_trials"


def test_where_trials_are_left_a_worker_that_refuses_to_run_ends_the_sweep(program):
    with pytest.raises(SearchError, match="no GPU here"):
        program(Kind("ray")).controller.run(refused)
