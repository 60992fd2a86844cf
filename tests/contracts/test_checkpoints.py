"""What a job keeps in its folder `checkpoint/`, the trial that tries it again finds in its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

APP = Path(__file__).parent.parent / "apps" / "checkpoints.py"
ONE = ["-m", "hydra/sweeper/sampler=grid", "x=choice(1)"]
AGAIN = "hydra.sweeper.max_retries=1"
NO_MLFLOW = "hydra.sweeper.tracking.name=none"
CURVE = {step: 1 + 1 / step for step in range(1, 7)}


def trials(folder: Path) -> list[FrozenTrial]:
    return optuna.load_study(
        study_name="checkpoints-1", storage=f"sqlite:///{folder}/studies.db"
    ).trials


def said(folder: Path, job: str = "0") -> list[str]:
    return (folder / "swept" / job / "output.log").read_text().splitlines()


def checkpoints(folder: Path) -> list[str]:
    return [str(p.parent.relative_to(folder)) for p in folder.rglob("checkpoint")]


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("crashes", "the trial process was ended by SIGABRT"),
        ("is terminated", "the trial was ended by SIGTERM"),
    ],
)
def test_a_trial_that_is_tried_again_goes_on_where_it_was(program, tmp_path, way, reason):
    ended = program(APP, *ONE, f"way={way}", AGAIN, NO_MLFLOW, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    failed, again = trials(tmp_path)
    assert failed.user_attrs["reason"] == reason
    assert again.state is TrialState.COMPLETE
    assert again.intermediate_values == pytest.approx(CURVE)
    assert said(tmp_path, "1") == ["begins after step 4", "step 5", "step 6"]
    assert checkpoints(tmp_path) == [], "nobody needs it any more"


def test_without_a_checkpoint_it_begins_at_the_start_and_sigterm_ends_it_at_once(program, tmp_path):
    arguments = ["way=is terminated", "keeps=false", AGAIN, NO_MLFLOW]
    program(APP, *ONE, *arguments, cwd=tmp_path)
    assert [t.user_attrs["reason"] for t in trials(tmp_path)] == [
        "the trial process was ended by SIGTERM"
    ] * 2
    assert said(tmp_path, "1")[0] == "begins after step 0"
    assert said(tmp_path, "1")[-1] == "ends: is terminated"


def test_under_several_seeds_each_goes_on_where_it_was(program, tmp_path):
    repeats = ["hydra.sweeper.repeats=2", "way=crashes", AGAIN]
    ended = program(APP, *ONE, *repeats, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    again = trials(tmp_path)[1]
    assert again.intermediate_values == pytest.approx({s: v + 0.05 for s, v in CURVE.items()})
    begins = {said(tmp_path, f"1/seed-{seed}")[0] for seed in (0, 1)}
    # the one that was killed with its sibling may have come to its fourth step or not
    assert begins <= {"begins after step 4", "begins after step 3"}
    assert "begins after step 4" in begins
    assert checkpoints(tmp_path) == []


PRUNER = ["hydra.sweeper.pruner._target_=checkpoints.StopsSecondTries"]


@pytest.mark.parametrize(("keeps", "pruned_at"), [("true", 4), ("false", 1)])
def test_what_is_repeated_is_let_pass_by_the_pruner_and_no_more(
    program, tmp_path, keeps, pruned_at
):
    """The first try has reported three steps, then kept its fourth and crashed."""
    ended = program(
        APP, *ONE, *PRUNER, "way=crashes", f"keeps={keeps}", AGAIN, NO_MLFLOW, cwd=tmp_path
    )
    failed, again = trials(tmp_path)
    assert failed.last_step == 3, ended.stdout + ended.stderr
    assert again.state is TrialState.PRUNED
    assert again.last_step == pruned_at
    assert checkpoints(tmp_path) == []


def test_a_folder_that_all_jobs_share_has_the_checkpoint_of_a_second_try_and_of_no_other_trial(
    program, tmp_path
):
    shared = ["hydra.sweep.subdir=job", "way=crashes", "x=1,2", NO_MLFLOW]
    program(APP, *ONE[:2], *shared, cwd=tmp_path)
    begun = [line for line in said(tmp_path, "job") if line.startswith("begins")]
    assert begun == ["begins after step 0"] * 2
    other = tmp_path / "other"
    other.mkdir()
    program(APP, *ONE, *shared[:2], AGAIN, NO_MLFLOW, cwd=other)
    begun = [line for line in said(other, "job") if line.startswith("begins")]
    assert begun == ["begins after step 0", "begins after step 4"]


def test_what_failed_for_good_leaves_no_checkpoint(program, tmp_path):
    program(APP, *ONE, "way=fails for good", AGAIN, NO_MLFLOW, cwd=tmp_path)
    assert [t.state for t in trials(tmp_path)] == [TrialState.FAIL]
    assert checkpoints(tmp_path) == []


def end_at(folder: Path, number: signal.Signals, way: str, *more: str) -> int:
    """Starts the sweep, sends the signal while its first trial ends in that way."""
    process = subprocess.Popen(
        [sys.executable, str(APP), *ONE, f"way={way}", *more],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "CI"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 90
        while not (folder / "swept/0/output.log").exists() or f"ends: {way}" not in said(folder):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(number)
        return process.wait(timeout=60)
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("number", "way", "code"),
    [
        (signal.SIGINT, "waits", 130),  # for the signal, which a report then heeds
        (signal.SIGTERM, "hangs", 130),  # and is killed once its grace is over
        (signal.SIGKILL, "waits", -9),
    ],
)
def test_after_an_interrupt_or_a_kill_the_same_command_goes_on_inside_the_trial(
    program, tmp_path, number, way, code
):
    stored = ["hydra.sweep.dir=swept", NO_MLFLOW]
    assert end_at(tmp_path, number, way, *stored) == code
    assert checkpoints(tmp_path) == ["swept/0"]
    ended = program(APP, *ONE, f"way={way}", *stored, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    _, again = trials(tmp_path)
    assert again.intermediate_values == pytest.approx(CURVE)
    assert said(tmp_path, "1") == ["begins after step 4", "step 5", "step 6"]
    assert checkpoints(tmp_path) == []


def test_the_second_try_of_a_second_try_finds_the_checkpoint_of_the_first(program, tmp_path):
    """The second was interrupted before it began, as far as its job is concerned."""
    stored = ["hydra.sweep.dir=swept", NO_MLFLOW]
    assert end_at(tmp_path, signal.SIGINT, "waits", *stored) == 130
    study = optuna.load_study(
        study_name="checkpoints-1", storage=f"sqlite:///{tmp_path}/studies.db"
    )
    study.add_trial(
        optuna.create_trial(
            state=TrialState.FAIL,
            user_attrs={"retry_of": 0, "reason": "interrupted"},
            params=study.trials[0].params,
            distributions=study.trials[0].distributions,
        )
    )
    ended = program(APP, *ONE, "way=waits", *stored, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert trials(tmp_path)[2].user_attrs["retry_of"] == 1
    assert said(tmp_path, "2")[0] == "begins after step 4"


def test_outside_of_a_sweep_nothing_is_interrupted():
    import seqsweep

    assert not seqsweep.interrupted()
