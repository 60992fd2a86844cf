"""The one look at the best model is had on a device that is there."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import optuna
import pytest
from omegaconf import OmegaConf

from seqsweep.errors import SearchError
from seqsweep.outcome import Completed, Failed
from seqsweep.process.child import Job
from seqsweep.search.report import best as best_module
from seqsweep.search.report.best import evaluate_best
from seqsweep.search.workers.slots import Slot

ECC = Failed("CUDA_ERROR_ECC_UNCORRECTABLE", again=True)
LOOKS = []  # on which device, and what the config says of it


def look(config) -> None:
    LOOKS[-1] += (config.devices.name,)


@pytest.fixture
def plan(tmp_path, settings, monkeypatch):
    """A plan whose trials fail on the GPUs of `broken`."""
    LOOKS.clear()
    made = settings(evaluate_best="builtins.repr")
    made = SimpleNamespace(**{**vars(made), "function": lambda _name: look})
    config = OmegaConf.create({"devices": {**asdict(made.devices), "name": "gpu"}})

    def of_trial(_params, _number, slot) -> dict:
        return {None: Job(b"", config.copy(), tmp_path, slot.environment)}

    class Process:
        def __init__(self, job: Job) -> None:
            self.job = job

        def run(self, **_how):
            function, *_ = cloudpickle.loads(self.job.app)
            gpu = self.job.environment["CUDA_VISIBLE_DEVICES"]
            LOOKS.append((gpu,))
            if gpu in plan.broken:
                return ECC
            function(self.job.config)
            return Completed((0.0,))

    plan = SimpleNamespace(
        settings=made,
        jobs=SimpleNamespace(of_trial=of_trial, hydra_context=None),
        slots=[Slot(f"gpu:{gpu}", {"CUDA_VISIBLE_DEVICES": gpu}) for gpu in "001"],
        broken="",
        folder=Path(tmp_path),
    )
    monkeypatch.setattr(best_module, "TrialProcess", Process)
    monkeypatch.setattr(best_module, "_register", lambda *_: None)
    monkeypatch.setattr(best_module, "model_run", lambda *_: None)
    return plan


@pytest.fixture
def best():
    study = optuna.create_study()
    study.add_trial(optuna.trial.create_trial(value=1.0))
    return study.trials[0]


def test_is_had_on_the_gpu_that_was_asked_for(plan, best):
    evaluate_best(plan, best, None)
    assert [(gpu, name) for gpu, name in LOOKS] == [("0", "gpu")]


def test_is_had_on_the_cpu_where_only_workers_elsewhere_have_gpus(plan, best):
    plan.slots = [Slot("cpu:0", {"CUDA_VISIBLE_DEVICES": "-1"})]
    evaluate_best(plan, best, None)
    assert LOOKS == [("-1", "cpu")]


def test_goes_from_a_gpu_that_has_failed_to_the_next(plan, best):
    plan.broken = "0"
    evaluate_best(plan, best, None)
    assert LOOKS == [("0",), ("0",), ("1", "gpu")]


def test_fails_with_the_last_gpu(plan, best):
    plan.broken = "01"
    with pytest.raises(SearchError, match=r"could not be evaluated: gpu:1 has failed: CUDA_ERROR"):
        evaluate_best(plan, best, None)
