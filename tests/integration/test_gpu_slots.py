"""Trials on several GPUs: only nvidia-smi is made up, what the trials see and do is real."""

import json
import os
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

APP = Path(__file__).parent.parent / "apps" / "on_gpus.py"
UUIDS = ["GPU-0a1b", "GPU-2c3d"]
ECC = "CUDA_ERROR_ECC_UNCORRECTABLE"


@pytest.fixture
def sweep(program, tmp_path):
    """Runs the app where nvidia-smi lists the GPUs that a file holds, at first two."""
    listed = tmp_path / "listed"
    lines = [f"{i}, {uuid}, 8192, NVIDIA T{i}" for i, uuid in enumerate(UUIDS)]
    listed.write_text("\n".join(lines) + "\n")
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(f"#!/bin/sh\ncat {listed}\n")
    smi.chmod(0o755)

    def run(*arguments: str, **environment: str):
        path = f"{smi.parent}{os.pathsep}{os.environ['PATH']}"
        return program(APP, "-m", *arguments, cwd=tmp_path, PATH=path, **environment)

    return run


def ran(folder: Path) -> list[dict]:
    """Gives what the trials that did not die have written."""
    return [json.loads(line) for line in (folder / "ran.jsonl").read_text().splitlines()]


def at_once(lines: list[dict]) -> int:
    """Gives how many of these trials ran at the same time, at most."""
    events = [(line["began"], 1) for line in lines] + [(line["ended"], -1) for line in lines]
    running = most = 0
    for _, change in sorted(events):
        running += change
        most = max(most, running)
    return most


def trials_of(folder: Path, name: str = "on_gpus-1") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/studies.db").trials


def test_each_trial_sees_one_gpu_and_no_gpu_has_more_trials_than_its_shares(sweep, tmp_path):
    shares = ["hydra.sweeper.devices.trials_per_gpu=2", "hydra.sweeper.devices.gpu_memory=split"]
    ended = sweep(*shares)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 slots (gpu:0, gpu:1, gpu:0, gpu:1)" in ended.stdout
    lines = ran(tmp_path)
    assert sorted(line["number"] for line in lines) == list(range(12))
    by_gpu = {gpu: [line for line in lines if line["gpu"] == gpu] for gpu in "01"}
    assert sum(map(len, by_gpu.values())) == 12
    assert [at_once(of_one) for of_one in by_gpu.values()] == [2, 2]
    assert {line["limit"] for line in lines} == {str(8192 // 2 - 1024)}


def test_a_gpu_that_fails_in_the_middle_leaves_its_trial_to_the_others(sweep, tmp_path):
    ended = sweep(DIES_FROM='{"1": 3}', SAYS=ECC)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = f"gpu:1 has failed: {ECC}; its slot is out of use, 1 slot is left"
    assert ended.stdout.count(told) == 1
    assert "12 completed" in ended.stdout
    trials = trials_of(tmp_path)
    assert Counter(t.state for t in trials) == {TrialState.COMPLETE: 12, TrialState.FAIL: 1}
    (failed,) = [t for t in trials if t.state is TrialState.FAIL]
    (again,) = [t for t in trials if t.user_attrs.get("retry_of") == failed.number]
    assert failed.user_attrs["reason"] == f"gpu:1 has failed: {ECC}"
    assert again.params == failed.params
    where = {line["number"]: line["gpu"] for line in ran(tmp_path)}
    assert {where[n] for n in where if n > failed.number} == {"0"}
    assert "1" in where.values()


def test_mlflow_has_the_trial_of_a_gpu_that_failed_and_the_one_in_its_place(
    sweep, tmp_path, runs_by_trial
):
    more = ["hydra.sweeper.n_trials=3", "hydra.sweeper.tracking.name=mlflow"]
    assert sweep(*more, DIES_FROM='{"1": 0}', SAYS="GPU is lost").returncode == 0
    runs = runs_by_trial(tmp_path, "on_gpus")
    states = Counter(run.info.status for runs_ in runs.values() for run in runs_)
    assert states == {"FINISHED": 4, "FAILED": 1}  # the sweep's own run is one
    (reason,) = [
        run.data.tags["seqsweep.reason"]
        for runs_ in runs.values()
        for run in runs_
        if run.info.status == "FAILED"
    ]
    assert reason == "gpu:1 has failed: GPU is lost"


def test_where_every_gpu_has_failed_the_sweep_ends_with_a_sentence_and_can_go_on(sweep, tmp_path):
    ended = sweep(DIES_FROM='{"0": 2, "1": 4}', SAYS=ECC)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "ended by devices: no slot is left, as GPUs have failed: gpu:" in ended.stdout
    assert "its slot is out of use, 1 slot is left" in ended.stdout
    assert len(trials_of(tmp_path)) < 12
    ended = sweep()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "goes on" in ended.stdout
    states = Counter(t.state for t in trials_of(tmp_path))
    assert states == {TrialState.COMPLETE: 12, TrialState.FAIL: 2}


def test_beside_a_cpu_a_gpu_that_fails_costs_its_slot_alone(sweep, tmp_path):
    more = ["hydra.sweeper.devices.slots=[gpu:1,cpu]", "hydra.sweeper.evaluate_best=on_gpus.look"]
    ended = sweep(*more, DIES_FROM='{"1": 0}', SAYS=ECC)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 slots (gpu:1, cpu:0)" in ended.stdout
    assert [line["gpu"] for line in ran(tmp_path)] == ["-1"] * 12
    (looked,) = tmp_path.glob("swept/*/*/looked")
    assert looked.read_text() == "-1"  # at the best one, on the slot that is left


WORKERS = ("hydra/launcher=joblib", "hydra.sweeper.n_workers=2")


def test_a_worker_whose_gpu_has_failed_leaves_its_trial_to_the_others(sweep, tmp_path):
    ended = sweep(*WORKERS, DIES_FROM='{"1": 3}', SAYS=ECC)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    states = Counter(t.state for t in trials_of(tmp_path))
    assert states == {TrialState.COMPLETE: 12, TrialState.FAIL: 1}
    assert {line["gpu"] for line in ran(tmp_path) if line["number"] > 3} == {"0"}


def test_where_the_gpus_of_all_workers_have_failed_the_sweep_says_so(sweep):
    ended = sweep(*WORKERS, DIES_FROM='{"0": 2, "1": 2}', SAYS=ECC)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert "the workers ended 3 times before any trial did: no slot is left, as GPUs have" in line


@pytest.mark.parametrize("says", ["CUDA_ERROR_OUT_OF_MEMORY: out of memory", "ValueError"])
def test_a_trial_that_fails_by_itself_costs_no_slot(sweep, tmp_path, says):
    ended = sweep("hydra.sweeper.n_trials=6", DIES_FROM='{"0": 3, "1": 3}', SAYS=says)
    assert "out of use" not in ended.stdout
    states = [t.state for t in trials_of(tmp_path)]
    assert states == [TrialState.COMPLETE] * 3 + [TrialState.FAIL] * 3


def test_a_gpu_that_nvidia_smi_lists_no_more_has_failed(sweep, tmp_path):
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.write_text(
        f"#!/bin/sh\nif grep -q . {tmp_path}/ran.jsonl 2>/dev/null\n"
        f"then head -1 {tmp_path}/listed; echo 'Unable to determine the device handle'; exit 15\n"
        f"else cat {tmp_path}/listed; fi\n"
    )
    ended = sweep("hydra.sweeper.n_trials=8", DIES_FROM='{"1": 4}', SAYS="")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "gpu:1 has failed: nvidia-smi lists it no more" in ended.stdout
    assert "8 completed" in ended.stdout


@pytest.mark.parametrize(
    ("given", "slots", "seen"),
    [
        (UUIDS[1], "null", {UUIDS[1]}),
        (f"{UUIDS[1]},0", f"[gpu:{UUIDS[1]},gpu:{UUIDS[1]}]", {UUIDS[1]}),
        ("1", "[gpu:1,cpu]", {"1", "-1"}),
    ],
    ids=["by UUID", "two shares by UUID", "mixed"],
)
def test_slots_are_of_the_gpus_that_the_sweep_was_given(sweep, tmp_path, given, slots, seen):
    more = ["hydra.sweeper.n_trials=4", f"hydra.sweeper.devices.slots={slots}"]
    ended = sweep(*more, CUDA_VISIBLE_DEVICES=given)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {line["gpu"] for line in ran(tmp_path)} == seen


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        ("[gpu:0,gpu:2]", "devices.slots names gpu:2, which this process is not given; accepted"),
        ("[gpu]", "hydra.sweeper.devices.slots: 'gpu' is no device: accepted are cpu and gpu: "),
        ("[]", "slots=[] names no device"),
        ("[gpu:0,gpu:0] hydra.sweeper.n_jobs=3", "hydra.sweeper.n_jobs=3, but devices.slots lists"),
        (f"[gpu:0] {' '.join(WORKERS)}", "hydra.sweeper.n_workers=2, but devices.slots lists 1"),
    ],
)
def test_a_slot_that_cannot_be_had_is_told_in_one_sentence(sweep, tmp_path, slots, says):
    ended = sweep(*f"hydra.sweeper.devices.slots={slots}".split())
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert says in line
    assert not (tmp_path / "studies.db").exists()


def test_where_tensorflow_sees_no_gpu_one_that_is_asked_for_is_missed(program, project):
    run = project / "src" / "run.py"
    ended = program(run, "devices=gpu", cwd=project, CUDA_VISIBLE_DEVICES="-1")
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("error: devices.name=gpu, but TensorFlow sees none; ")
