"""The benchmarks run as a user runs them, in short; how fast is no test's matter."""

import re

import pytest


@pytest.fixture(scope="module")
def benchmarks(root):
    return root / "benchmarks"


def rows(printed: str) -> dict[str, list[float]]:
    """Gives the figures of each row of a benchmark's table."""
    found = {}
    for line in printed.splitlines():
        name, *figures = re.split(r"\s{2,}", line.strip())
        if figures and re.fullmatch(r"[\d.]+ s", figures[0]):
            found[name] = [float(figure.removesuffix(" s")) for figure in figures]
    return found


def test_the_use_of_slots_is_measured_of_a_sweep_and_of_batches(benchmarks, program, tmp_path):
    arguments = ["--seconds", "0.1", "0.6", "--trials", "5", "--n-jobs", "2"]
    ended = program(benchmarks / "async_slots.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "5 trials of 0.1 s and 0.6 s, 1.5 s in all, on 2 slots" in ended.stdout
    table = rows(ended.stdout)
    assert next(iter(table)) == "seqsweep, MLflow on"
    assert list(table)[-1] == "batches: bare threads"
    for wall, held, slept, tail, between in table.values():
        assert wall >= 0.75  # what is slept, over two slots
        assert slept * 2 * wall > 0.95 * 1.5  # rounded; a sleep may be longer, never shorter
        assert 0 < slept <= held
        assert held + tail + between == pytest.approx(1, abs=0.002)
        assert min(tail, between) >= 0
    assert not list(tmp_path.iterdir())


def test_a_benchmark_whose_trials_fail_prints_no_table_and_exits_with_1(
    benchmarks, program, tmp_path
):
    arguments = ["--seconds", "-1", "0.1", "--trials", "2"]
    ended = program(benchmarks / "async_slots.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.splitlines()[-1] == "error: 1 of 2 trials failed"


def test_epochs_are_counted_with_a_pruner_and_without(benchmarks, program, tmp_path):
    arguments = ["--seeds", "1", "--pruner", "halving", "hydra/sweeper/pruner=asha"]
    arguments += ["hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1", "model.n_hidden=8"]
    # five validations, after a fifth of a pass each
    arguments += ["training.epochs=1", "training.validate_every=0.2"]
    ended = program(benchmarks / "pruning.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    table = {line.split()[0]: line for line in ended.stdout.splitlines()}
    assert "2 (2 to 2)" in table["none"]
    epochs = float(table["halving"].split()[1])
    assert 1.2 <= epochs <= 2  # the first trial is the best so far, and is never pruned
    assert not list(tmp_path.iterdir())


def test_a_sweep_that_fails_fails_its_benchmark(benchmarks, program, tmp_path):
    arguments = ["--seeds", "1", "training.epochs=-1"]
    ended = program(benchmarks / "pruning.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "training.epochs=-1" in ended.stderr
    assert ended.stderr.rstrip().endswith("failed")
