"""The proof that nothing is lost, in short, and that it would see what is."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

LIMIT_S = 900  # of a test on a busy machine
SHORT = ["--trials", "12", "--every", "2", "--controllers", "1", "--interrupts", "0"]


@pytest.fixture(scope="module")
def chaos(root):
    return root / "benchmarks" / "chaos.py"


@pytest.fixture(scope="module")
def short(chaos, program, tmp_path_factory):
    """The short form: what it printed, and the folder in which its two sweeps have stayed."""
    folder = tmp_path_factory.mktemp("chaos") / "kept"
    arguments = [*SHORT, "--folder", str(folder)]
    return program(chaos, *arguments, cwd=folder.parent, timeout=LIMIT_S), folder


def rows(printed: str) -> dict[str, list[int]]:
    """Gives the figures of each sweep, without the time."""
    lines = [line.split("  ") for line in printed.splitlines() if line.endswith(" s")]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    return {name: [int(figure) for figure in figures[:-1]] for name, *figures in cells}


def test_a_sweep_whose_trials_and_program_are_killed_loses_nothing(short):
    ended, _ = short
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = rows(ended.stdout)
    assert found["undisturbed"] == [0, 0, 0, 0, 12, 0, 0, 0]
    kills, controllers, interrupts, absences, tries, _, lost, faults = found["seed 0"]
    assert (controllers, interrupts, absences, lost, faults) == (1, 0, 0, 0, 0)
    assert kills >= 1
    assert 12 < tries <= 12 + kills + 2  # two trials ran when the program was killed


def test_nor_does_one_whose_mlflow_server_is_killed_too(chaos, program, tmp_path):
    arguments = [*SHORT, "--server", "--absences", "1"]
    ended = program(chaos, *arguments, cwd=tmp_path, timeout=LIMIT_S, TMPDIR=str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert rows(ended.stdout)["seed 0"][3] == 1
    assert not list(tmp_path.glob("chaos-*"))


def test_a_point_that_is_lost_is_told_by_exit_code_1(chaos, program, tmp_path):
    arguments = ["--trials", "2", "--every", "0.5", "--controllers", "0", "--interrupts", "0"]
    arguments += ["--override", "hydra.sweeper.max_retries=0", "--folder", str(tmp_path / "kept")]
    ended = program(chaos, *arguments, cwd=tmp_path, timeout=LIMIT_S)
    assert ended.returncode == 1
    assert rows(ended.stdout)["seed 0"][6] >= 1
    assert "is COMPLETE 0 times" in ended.stdout
    assert ended.stderr.rstrip().endswith(f"see {tmp_path / 'kept'}")


RUN_OF = (
    "(SELECT run_uuid FROM tags WHERE key = 'seqsweep.outcome' AND value = '{}' AND run_uuid IN "
    "(SELECT run_uuid FROM tags WHERE key = 'seqsweep.kind' AND value = 'trial') LIMIT 1)"
)
COMPLETED, FAILED = RUN_OF.format("completed"), RUN_OF.format("failed")
TRIAL_RUN = "(SELECT run_uuid FROM tags WHERE key = 'seqsweep.trial' AND value = '0')"
A_POINT = (
    "WHERE rowid = (SELECT min(rowid) FROM metrics WHERE key = 'val_loss' "
    f"AND run_uuid IN {COMPLETED})"
)
OPTUNA, MLFLOW = "mlruns/optuna.db", "mlflow.db"
DAMAGES = {
    "a trial that runs": (
        OPTUNA,
        "UPDATE trials SET state = 'RUNNING' WHERE number = 0",
        "Optuna: trial 0 is RUNNING",
    ),
    "a failed trial that nobody tries again": (
        OPTUNA,
        "DELETE FROM trial_user_attributes WHERE key = 'retry_of'",
        "is tried again by []",
    ),
    "a point that is completed many times": (
        OPTUNA,
        "UPDATE trial_params SET param_value = 0",
        "is COMPLETE 12 times",
    ),
    "another value in the last bit": (
        OPTUNA,
        "UPDATE trial_values SET value = value + 1e-16",
        "values: trial",
    ),
    "a completed trial whose run failed": (
        MLFLOW,
        f"UPDATE runs SET status = 'FAILED' WHERE run_uuid IN {COMPLETED}",
        "is FAILED, the trial COMPLETE",
    ),
    "a sweep that runs": (
        MLFLOW,
        "UPDATE runs SET status = 'RUNNING' WHERE run_uuid IN "
        "(SELECT run_uuid FROM tags WHERE key = 'seqsweep.kind' AND value = 'sweep')",
        "MLflow: the runs of the sweep are ['RUNNING']",
    ),
    "another reason": (
        MLFLOW,
        "UPDATE tags SET value = 'fate' WHERE key = 'seqsweep.reason'",
        "has the reason 'fate', the trial",
    ),
    "a trial without its run": (
        MLFLOW,
        f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid IN {TRIAL_RUN}",
        "MLflow: trial 0 (",
    ),
    "a run of no trial": (
        MLFLOW,
        "UPDATE tags SET value = '99' WHERE key = 'seqsweep.trial' AND value = '0'",
        "runs of trial 99, which Optuna does not have",
    ),
    "a run of another sweep": (
        MLFLOW,
        f"UPDATE tags SET value = '0' WHERE key = 'mlflow.parentRunId' AND run_uuid IN {FAILED}",
        "has another parent than the sweep's run",
    ),
    "a curve that lacks a point": (MLFLOW, f"DELETE FROM metrics {A_POINT}", "curves: val_loss"),
    "a point in another bit": (
        MLFLOW,
        f"UPDATE metrics SET value = value * (1 + 3e-16) {A_POINT}",
        "curves: val_loss",
    ),
    "a point twice": (
        MLFLOW,
        "INSERT INTO metrics SELECT key, value, timestamp + 1, run_uuid, step, is_nan "
        f"FROM metrics {A_POINT}",
        "more than once",
    ),
    "a model that is not ready": (
        MLFLOW,
        f"UPDATE logged_models SET status = 1 WHERE source_run_id IN {COMPLETED}",
        "has the models []",
    ),
}


@pytest.fixture(scope="module")
def ledgers(benchmark_module):
    """The module that reads and judges."""
    return benchmark_module("ledgers")


@pytest.fixture(scope="module")
def undisturbed(ledgers, short):
    return read(ledgers, short[1] / "undisturbed")


def read(ledgers, folder: Path):
    return ledgers.Ledgers.read(folder, f"sqlite:///{folder}/mlflow.db")


def told(ledgers, folder: Path, undisturbed) -> list[str]:
    found = read(ledgers, folder)
    points = [trial.params for trial in undisturbed.trials]
    return [*ledgers.faults(found, points), *ledgers.differences(found, undisturbed)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_a_store_is_seen(ledgers, short, undisturbed, tmp_path, damage):
    folder = tmp_path / "copy"
    # of the sweep that was disturbed, which has failed trials too
    shutil.copytree(short[1] / "seed-0", folder)
    assert told(ledgers, folder, undisturbed) == []
    store, statement, sentence = DAMAGES[damage]
    with closing(sqlite3.connect(folder / store)) as connection, connection:
        assert connection.execute(statement).rowcount > 0
    assert any(sentence in line for line in told(ledgers, folder, undisturbed))


def test_a_model_that_is_gone_from_the_disk_is_seen(ledgers, short, undisturbed, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(short[1] / "seed-0", folder)
    (model, *_) = folder.glob("mlruns/jobs/run-1/*/model")
    shutil.rmtree(model)
    (line,) = told(ledgers, folder, undisturbed)
    assert line == f"disk: trial {model.parent.name} has no model in {model.parent}"
