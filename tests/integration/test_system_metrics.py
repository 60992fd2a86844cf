"""A sweep records what each trial takes of the machine."""

from pathlib import Path

import pytest

APP = Path(__file__).parent.parent / "apps" / "learner.py"
MEMORY = "system/process_memory_usage_megabytes"
CPU = "system/process_cpu_utilization_percentage"


def metrics_of(program, folder: Path, runs_by_trial, *more: str) -> list[dict[str, float]]:
    """Gives the metrics of two trials that sleep for two seconds each."""
    arguments = ["hydra/sweeper/sampler=grid", "x=0,1", "steps=4", "sleep=0.5"]
    ended = program(APP, "-m", *arguments, *more, cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    runs = runs_by_trial(folder, "learner")
    return [run.data.metrics for trial in "01" for run in runs[trial]]


def test_each_trial_has_samples_of_its_own_process(program, tmp_path, runs_by_trial):
    every = "hydra.sweeper.tracking.system_metrics_every_s=0.5"
    for metrics in metrics_of(program, tmp_path, runs_by_trial, every):
        assert 10 < metrics[MEMORY] < 2000
        assert metrics[CPU] < 50  # it sleeps
        assert metrics["duration_s"] == pytest.approx(2, abs=1.5)


def test_by_default_a_trial_of_two_seconds_has_a_sample(program, tmp_path, runs_by_trial):
    for metrics in metrics_of(program, tmp_path, runs_by_trial):
        assert metrics[MEMORY] > 10


def test_null_takes_none(program, tmp_path, runs_by_trial):
    never = "hydra.sweeper.tracking.system_metrics_every_s=null"
    for metrics in metrics_of(program, tmp_path, runs_by_trial, never):
        assert not any(name.startswith("system/") for name in metrics)
