"""The benchmarks run as a user runs them, in short; how fast is no test's matter."""

import re
import shutil

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


def test_the_lstm_is_measured_beside_its_peers_and_the_products_alone(
    benchmarks, program, tmp_path
):
    arguments = ["--shapes", "5x3", "--seconds", "0.02"]
    ended = program(benchmarks / "lstm.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    cells = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    table = {name: [name, *figures] for name, *figures in cells}
    _, ours, bfloat16, keras, products, torch, to_keras, *_, first = table["5x3"]
    rates = [float(rate.replace(",", "")) for rate in (ours, bfloat16, keras, products)]
    assert min(rates) > 0
    assert torch == "-"  # no interpreter was named
    assert float(to_keras) == pytest.approx(rates[0] / rates[2], rel=0.02)
    assert 0 < float(first.removesuffix(" s")) < 120
    assert table["least"][1] == table["geometric mean"][1]  # of one shape
    assert not list(tmp_path.iterdir())


def test_what_a_trial_costs_is_measured_with_each_sampler_and_store(benchmarks, program, tmp_path):
    arguments = ["--studies", "2", "--trials", "2", "--n-jobs", "1"]
    ended = program(benchmarks / "overhead.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    table = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()[2:]]
    (hydra, _, hydras, *_), *rows = table
    assert hydra == "Hydra, no record"
    assert [(row[0], row[1]) for row in rows] == [
        (f"seqsweep, {sampler}, {store}", "2")
        for store in ("mlflow", "none")
        for sampler in ("random", "tpe")
    ]
    for _, _, cost, to_hydra, suggesting in rows:
        cost, hydras_s, alone = (float(s.removesuffix(" s")) for s in (cost, hydras, suggesting))
        assert cost > 0
        assert float(to_hydra) == pytest.approx(cost / hydras_s, rel=0.1)
        assert 0 <= alone < 60
    assert not list(tmp_path.iterdir())


@pytest.fixture
def environment(benchmarks, tmp_path_factory):
    """Makes a peer's environment whose Python is a line for the shell."""
    place = tmp_path_factory.mktemp("environments")

    def make(name: str, line: str):
        python = place / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\n{line}\n")
        python.chmod(0o755)
        shutil.copyfile(benchmarks / "peers" / f"{name}.txt", place / name / "installed.txt")
        return place

    return make


def test_a_search_is_compared_with_that_of_a_peer(benchmarks, environment, program, tmp_path):
    environments = environment("keras_tuner", 'printf "a 0.5\\na 0.75\\nb 0.25\\n" > "$3"')
    arguments = ["--environments", str(environments), "--peer", "keras-tuner"]
    arguments += ["--seeds", "1", "--trials", "2", "--epochs", "1"]
    ended = program(benchmarks / "sweep.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    table = {line.split()[0]: line.split()[1:] for line in ended.stdout.splitlines()[2:]}
    assert table["keras-tuner"][-3:] == ["2", "3", "0.750"]
    seconds, _, to_ours, *found = table["seqsweep"]
    assert float(seconds) > 1
    assert (to_ours, *found[:2]) == ("1.00", "2", "2")
    assert 0 < float(found[2]) < 1
    assert not list(tmp_path.iterdir())


def test_a_peer_that_fails_fails_the_benchmark(benchmarks, environment, program, tmp_path):
    environments = environment("ray_tune", "exit 3")
    arguments = ["--environments", str(environments), "--peer", "ray-tune"]
    arguments += ["--seeds", "1", "--trials", "1", "--epochs", "1"]
    ended = program(benchmarks / "sweep.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.rstrip().endswith("failed")


def test_growth_of_memory_beyond_the_limit_is_an_error(benchmarks, program, tmp_path):
    arguments = ["--trials", "3", "--from", "1", "--limit-mb=-1e6"]
    ended = program(benchmarks / "memory.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert re.search(r"^error: it grew by -?[\d.]+ MB, more than -1e\+06 MB$", ended.stderr, re.M)
    processes = [line.split()[:2] for line in ended.stdout.splitlines()[2:]]
    assert processes == [
        [name, kind] for name in ("worker", "forkserver") for kind in ("rss", "anonymous")
    ]


def search(benchmarks, program, folder, *arguments):
    """Runs the benchmark on a table of the test's own; gives what it printed."""
    common = ["--table", str(folder / "table.csv"), "--sampler", "random", "--seeds", "2"]
    script = benchmarks / "search.py"
    ended = program(script, *common, *arguments, cwd=folder, TMPDIR=str(folder))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_where_all_are_alike_the_first_trial_that_completes_is_the_best(
    benchmarks, program, tmp_path
):
    names = "model.n_hidden,model.forget_bias,optimizer.learning_rate,training.batch_size"
    curve = "0.2,0.4,0.6,0.8"
    rows = [names + ",1,2,3,4", f"32,0,1e-4,32,{curve}", f"256,2,1e-1,256,{curve}"]
    (tmp_path / "table.csv").write_text("\n".join([*rows, f"100,1,1e-2,100,{curve}"]))
    printed = search(benchmarks, program, tmp_path, "--pruner", "none", "asha-3")
    assert "3 configurations, the best in the space at 0.800" in printed
    assert "by 0.000, 0.000 and 0.000 of accuracy" in printed
    results = [line.split() for line in printed.splitlines() if line.startswith("random")]
    # four epochs on one slot, between them three on the other
    assert results == [["random", name, "7", "7", "7", "0"] for name in ("none", "asha-3")]


def test_a_table_is_recorded_and_searched(benchmarks, program, tmp_path):
    printed = search(
        benchmarks, program, tmp_path, "--record", "2", "--pruner", "none", "--most", "1"
    )
    assert printed.splitlines()[-1].split() == ["random", "none", "inf", "inf", "inf", "2"]
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    for row in (tmp_path / "table.csv").read_text().splitlines()[1:]:
        assert all(0 <= float(accuracy) <= 1 for accuracy in row.split(",")[4:])
        assert row.count(",") == 11


@pytest.mark.cluster
def test_stores_are_compared_in_speed_errors_and_double_claims(
    benchmarks, program, tmp_path, postgres
):
    arguments = ["--processes", "2", "--seconds", "0.5", "--claims", "10"]
    ended = program(benchmarks / "stores.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    _, *table = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    assert [row[0] for row in table] == [
        "SQLite",
        "SQLite, Optuna's",
        "journal file",
        "journal, Optuna's",
        "PostgreSQL",
        "PostgreSQL, Optuna's",
        "gRPC proxy",
        "gRPC proxy, Optuna's",
    ]
    for name, processes, rate, to_first, client, errors, claims in table:
        assert (processes, errors) == ("2", "0")
        assert float(to_first) == pytest.approx(float(rate) / float(table[0][2]), abs=0.06)
        assert float(client.removesuffix(" ms")) > 0
        twice, _, of = claims.split()
        assert of == "10"
        assert twice == "0" or name == "SQLite, Optuna's"
    assert not list(tmp_path.iterdir())


@pytest.mark.cluster
def test_the_parts_of_a_large_sweep_are_measured(benchmarks, program, tmp_path, postgres):
    arguments = ["--trials", "10", "40", "--running", "2", "5"]
    ended = program(benchmarks / "capacity.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    table = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    costs = {name: figures for name, *figures in table if len(figures) == 3}
    assert {"report", "tell", "first read, 10 trials", "first read, 40 trials"} <= costs.keys()
    assert {"read again, 2 running", "read again, 5 running", "MLflow: a run"} <= costs.keys()
    assert "ask, tpe, 40 trials" in costs
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "names"),
    [([], ["random", "tpe", "cmaes", "qmc", "nsgaii"]), (["--journal", "--samplers=tpe"], ["tpe"])],
)
def test_a_study_of_many_trials_is_measured_with_each_sampler(
    benchmarks, program, tmp_path, arguments, names
):
    ended = program(benchmarks / "study.py", *arguments, "--sizes", "30", "60", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    _, *table = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    heads, *rows = table
    assert heads == ["trials", "sampler", "resume", "ask", "memory", "report"]
    assert [row[:2] for row in rows] == [[n, name] for n in ("30", "60") for name in names]
    for _, _, resume, ask, memory, report in rows:
        assert float(resume.removesuffix(" s")) >= 0  # rounded
        assert float(ask.removesuffix(" ms")) > 0
        assert float(memory.removesuffix(" MB")) > 0
        assert float(report.removesuffix(" s")) >= 0
    assert not list(tmp_path.iterdir())


@pytest.mark.cluster
def test_both_proxies_are_measured_for_each_step_of_a_trial(
    benchmarks, program, tmp_path, postgres
):
    arguments = ["--running", "10", "--clients", "4", "--seconds", "0.5"]
    ended = program(benchmarks / "proxy.py", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    _, *table = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    steps = ["read 10 running", "ask, with four parameters", "report", "attribute"]
    steps += ["look at a trial", "tell"]
    assert [(row[0], row[1]) for row in table] == [
        (step, name) for name in ("seqsweep", "Optuna") for step in steps
    ]
    for _, _, rate, core in table:
        assert float(rate) > 0
        assert float(core.removesuffix(" ms")) >= 0
    assert not list(tmp_path.iterdir())
