"""A dry run shows the sweep, trains nothing and writes nothing."""

import re

import optuna
import pytest


def listed(project) -> set:
    return {
        path.relative_to(project) for path in project.rglob("*") if "__pycache__" not in str(path)
    }


def test_a_dry_run_shows_space_trials_slots_and_stores_and_writes_nothing(project, program):
    before = listed(project)
    run = program(
        project / "src" / "run.py", "-m", "sweep", "dry_run=true", "devices=cpu", cwd=project
    )
    assert run.returncode == 0, run.stderr
    for said in (
        "default-1, a new one",
        "20 trials",
        "model.forget_bias  interval(0, 2)",
        "cpu:0",
        str(project / "mlruns" / "optuna.db"),
        str(project / "mlflow.db"),
        "no sweep of this name has trained here before",
    ):
        assert said in run.stdout
    assert listed(project) == before


def test_after_a_sweep_a_dry_run_estimates_the_time_by_its_trials(project, program):
    path = project / "src" / "run.py"
    assert program(path, "-m", "sweep=tiny", cwd=project).returncode == 0
    arguments = ("-m", "sweep=tiny", "dry_run=true", "hydra.sweeper.n_trials=200")
    run = program(path, *arguments, "hydra.sweeper.n_jobs=1", cwd=project)
    study = optuna.load_study(
        study_name="tiny-1", storage=f"sqlite:///{project / 'mlruns' / 'optuna.db'}"
    )
    (trial,) = study.trials
    seconds = trial.duration.total_seconds()
    assert "tiny-2, a new one" in run.stdout
    assert f"as a trial of tiny-1 took {seconds:.1f} s on average" in run.stdout
    minutes, rest = re.search(r"about (\d+) min (\d+) s of training", run.stdout).groups()
    assert 60 * int(minutes) + int(rest) == pytest.approx(200 * seconds, abs=1)


def test_a_dry_run_counts_the_slots_of_all_workers(project, program):
    path, arguments = project / "src" / "run.py", ["-m", "sweep=tiny", "devices=cpu"]
    assert program(path, *arguments, cwd=project).returncode == 0
    store = f"sqlite:///{project / 'mlruns' / 'optuna.db'}"
    (trial,) = optuna.load_study(study_name="tiny-1", storage=store).trials
    arguments += ["dry_run=true", "hydra.sweeper.n_trials=200", "hydra.sweeper.n_workers=2"]
    for launcher, n_jobs, slots, n_slots in (
        ("submitit_slurm", "auto", "slots of each worker, where it runs: as many as it finds", 2),
        ("ray", 3, "slots of each worker, where it runs: 3", 6),
        ("joblib", 2, "slots 4: cpu:0, cpu:1, cpu:2, cpu:3", 4),
    ):
        more = [f"hydra/launcher={launcher}", f"hydra.sweeper.n_jobs={n_jobs}"]
        run = program(path, *arguments, *more, cwd=project)
        assert run.returncode == 0, run.stderr
        said = " ".join(run.stdout.split())
        assert slots in said
        minutes, rest = re.search(r"about (\d+) min (\d+) s of training", said).groups()
        seconds = 200 * trial.duration.total_seconds() / n_slots
        assert 60 * int(minutes) + int(rest) == pytest.approx(seconds, abs=1)


def test_a_dry_run_finds_the_mistakes_that_a_sweep_would(project, program):
    run = program(
        project / "src" / "run.py",
        "-m",
        "sweep",
        "dry_run=true",
        "data.n_validation=9",
        cwd=project,
    )
    assert run.returncode == 0
    run = program(
        project / "src" / "run.py",
        "-m",
        "sweep",
        "dry_run=true",
        "data.n_validation=-1",
        cwd=project,
    )
    assert run.returncode == 1
    assert "data.n_validation=-1" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("word", ["dry_run=true", "hydra.sweeper.dry_run=true"])
def test_a_dry_run_without_a_sweep_is_refused(project, program, word):
    run = program(project / "src" / "run.py", word, cwd=project)
    assert run.returncode == 1
    assert run.stderr == (
        "error: dry_run shows what a sweep would do: give it with -m, as `-m sweep`\n"
    )


def test_a_dry_run_reads_the_studies_in_the_folder_of_the_jobs(project, program):
    path, none = project / "src" / "run.py", "hydra.sweeper.storage=null"
    folder = f"hydra.sweep.dir={project}/all"
    swept = program(path, "-m", "sweep=tiny", none, folder, cwd=project)
    assert swept.returncode == 0, swept.stderr
    run = program(path, "-m", "sweep=tiny", none, folder, "dry_run=true", cwd=project)
    assert run.returncode == 0, run.stderr
    assert "as a trial of tiny-1 took" in run.stdout


def test_a_dry_run_makes_no_store_that_an_address_names(project, program):
    before = listed(project)
    address = f"hydra.sweeper.storage=sqlite:///{project}/new.db"
    run = program(
        project / "src" / "run.py", "-m", "sweep=tiny", address, "dry_run=true", cwd=project
    )
    assert run.returncode == 0, run.stderr
    assert "tiny-1, a new one" in run.stdout
    assert listed(project) == before
