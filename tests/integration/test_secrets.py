"""Nothing that a sweep or a run has written or printed holds a password or a token."""

import subprocess
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf

APP = Path(__file__).parent.parent / "apps" / "keeps_secrets.py"
PASSWORD, TOKEN, OTHER, LITERAL = "pa55-of-the_store", "t0ken.of~mine", "0ther-pa55", "l1teral-t0k"
DB = f"postgresql://someone:{OTHER}@db.example/x"
VARIABLES = {"MY_API_TOKEN": TOKEN, "MLFLOW_TRACKING_TOKEN": f"mlflow-{TOKEN}"}
SHORT = ["training.epochs=null", "training.training_iters=300", "model.n_hidden=4"]
SHORT += ["training.display_step=1", "training.validate_every=0.05"]


def content(path: Path) -> bytes:
    """The bytes of a file; none where SQLite has just taken away its shared memory."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        assert path.name.endswith(("-shm", "-wal"))
        return b""


def assert_without_secrets(folder: Path, *ended: subprocess.CompletedProcess) -> None:
    """Looks into each file, byte by byte, at each name, and at what was printed."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for secret in (PASSWORD, TOKEN, OTHER, LITERAL):
        held = [str(path) for path in files if secret.encode() in content(path)]
        assert held == []
        assert [str(path) for path in folder.rglob("*") if secret in path.name] == []
        for program in ended:
            assert secret not in program.stdout + program.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def address(folder, mlflow_server):
    """The address of a real MLflow server whose every file lies in the folder."""
    server = mlflow_server(folder / "server")
    server.start()
    yield server.uri.replace("://", f"://someone:{PASSWORD}@")
    server.kill()


@pytest.fixture(scope="module")
def project(folder, copy_project) -> Path:
    return copy_project(folder / "project")


def runs(address: str, name: str):
    client = MlflowClient(address)
    (experiment,) = client.search_experiments(filter_string=f"name = '{name}'")
    return client, client.search_runs([experiment.experiment_id])


def test_a_sweep_into_a_server_with_a_password_keeps_it_nowhere(folder, address, project, program):
    ended = program(
        project / "src" / "run.py",
        "-m",
        "sweep=tiny",
        f"tracking.uri={address}",
        f"+hydra.job.env_set.SOME_TOKEN={LITERAL}",
        "hydra.verbose=true",
        cwd=folder,
        **VARIABLES,
    )
    assert ended.returncode == 0, ended.stderr
    assert "http://someone:***@127.0.0.1:" in ended.stdout
    _, tracked = runs(address, "seqsweep")
    assert {run.info.status for run in tracked} == {"FINISHED"}
    job = project / "mlruns" / "jobs" / "tiny-1" / "0" / ".hydra"
    assert {path.name for path in job.iterdir()} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    uri = OmegaConf.load(job / "config.yaml").tracking.uri
    assert uri == address.replace(PASSWORD, "***")
    assert f"tracking.uri={uri}" in OmegaConf.load(job / "overrides.yaml")
    assert_without_secrets(folder, ended)


def test_a_function_gets_its_secrets_and_what_it_raises_is_kept_without_them(
    folder, address, program
):
    (folder / "app").mkdir()
    ended = program(
        APP,
        "-m",
        "+note=${oc.env:MY_API_TOKEN}",
        f"+db={DB}",
        f"hydra.sweeper.tracking.uri={address}",
        cwd=folder / "app",
        **VARIABLES,
    )
    assert ended.returncode == 0, ended.stderr
    shown = DB.replace(OTHER, "***")
    study = optuna.load_study(
        study_name="keeps_secrets-1", storage=f"sqlite:///{folder}/app/sweep/optuna.db"
    )
    reasons = {trial.params["way"]: trial.user_attrs.get("reason") for trial in study.trials}
    assert reasons == {
        "completes": None,
        "returns": f"the function returned '{shown}', which is no number",
        "raises": f"ValueError: cannot open {shown} with ***",
    }
    (log,) = (folder / "app").rglob("*way=raises*/keeps_secrets.log")
    assert log.read_text().endswith(f" - {shown} with ***\n")
    client, tracked = runs(address, "keeps_secrets")
    for run in tracked:
        if "way" in run.data.params:
            assert (run.data.params["note"], run.data.params["db"]) == ("***", shown)
    (failed,) = (run for run in tracked if run.data.params.get("way") == "raises")
    path = client.download_artifacts(failed.info.run_id, "traceback.txt", str(folder))
    assert f"ValueError: cannot open {shown} with ***" in Path(path).read_text()
    assert_without_secrets(folder, ended)


def test_a_single_run_keeps_no_secret(folder, address, project, program):
    ended = program(
        project / "src" / "run.py",
        *SHORT,
        f"tracking.uri={address}",
        f"+hydra.job.env_set.SOME_TOKEN={LITERAL}",
        "tracking.experiment=single",
        f"hydra.run.dir={folder}/single/${{hydra.job.override_dirname}}",
        cwd=folder,
        **VARIABLES,
    )
    assert ended.returncode == 0, ended.stderr
    (kept,) = (folder / "single").rglob("config.yaml")
    assert kept.parent.name == ".hydra"
    assert OmegaConf.load(kept).tracking.uri == address.replace(PASSWORD, "***")
    assert "output_subdir: .hydra" in (kept.parent / "hydra.yaml").read_text()
    assert_without_secrets(folder, ended)


def test_a_single_run_that_crashes_prints_its_traceback_without_secrets(project, program, folder):
    task = project / "src" / "seqsweep" / "trial" / "single.py"
    whole = task.read_text()
    line = "    tracking = open_tracking"
    task.write_text(whole.replace(line, f"    raise OSError(cfg.tracking.uri)\n{line}", 1))
    try:
        ended = program(
            project / "src" / "run.py",
            f"tracking.uri=http://someone:{PASSWORD}@127.0.0.1:1",
            cwd=folder,
        )
    finally:
        task.write_text(whole)
    assert ended.returncode == 1
    assert "OSError: http://someone:***@127.0.0.1:1" in ended.stderr
    assert_without_secrets(folder, ended)


STORES = {
    "nobody listens": f"postgresql://u:{PASSWORD}@127.0.0.1:1/db",
    "no port": f"postgresql://u:{PASSWORD}@127.0.0.1:port/db",
    "one slash": f"postgresql:/u:{PASSWORD}@127.0.0.1/db",
    "no slash": f"postgresql:u:{PASSWORD}@127.0.0.1/db",
    "an unknown dialect": f"nosuch://u:{PASSWORD}@127.0.0.1/db",
    "an unknown driver": f"postgresql+nosuch://u:{PASSWORD}@127.0.0.1/db",
    "in a query": f"postgresql://127.0.0.1:1/db?user=u&password={PASSWORD}",
}


@pytest.mark.parametrize("storage", STORES.values(), ids=STORES)
def test_a_store_that_cannot_be_opened_is_told_of_without_its_password(
    project, program, folder, storage
):
    arguments = ["-m", "sweep=tiny", f"hydra.sweeper.storage='{storage}'"]
    ended = program(project / "src" / "run.py", *arguments, cwd=folder)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: hydra.sweeper.storage")
    assert len(ended.stderr.splitlines()) == 1
    assert_without_secrets(folder, ended)


TRACKING = {
    "nobody listens": f"http://someone:{PASSWORD}@127.0.0.1:1",
    "an unknown scheme": f"nosuch://someone:{PASSWORD}@127.0.0.1",
    "a missing driver": f"mysql://someone:{PASSWORD}@127.0.0.1:1/db",
}


@pytest.mark.parametrize("uri", TRACKING.values(), ids=TRACKING)
@pytest.mark.parametrize("arguments", [["-m", "sweep=tiny"], SHORT], ids=["sweep", "single"])
def test_a_tracking_store_that_cannot_be_opened_is_told_of_without_its_password(
    project, program, folder, uri, arguments
):
    ended = program(
        project / "src" / "run.py",
        *arguments,
        f"tracking.uri={uri}",
        cwd=folder,
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    assert ended.returncode == 1
    assert "error: the MLflow store" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert_without_secrets(folder, ended)


def test_an_override_that_hydra_cannot_read_is_told_of_without_its_password(
    project, program, folder
):
    uri = f'tracking.uri=http://someone:x"{PASSWORD}@127.0.0.1'
    ended = program(project / "src" / "run.py", uri, cwd=folder)
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: tracking.uri=http://someone:***@127.0.0.1: it is no Hydra override\n"
    )


SEARCHED = ["s3arched-one", "s3arched-two"]


def test_what_is_searched_may_be_secret_and_stands_in_the_study_alone(folder, address, program):
    """Optuna's store has the values, or no sweep could go on; nothing else has them."""
    where = folder / "searched"
    where.mkdir()
    ended = program(
        APP,
        "-m",
        "+note=${oc.env:MY_API_TOKEN}",
        f"+db={DB}",
        f"+key.password=choice({','.join(SEARCHED)})",
        "+x=interval(0,1)",
        "hydra.sweeper.params=null",
        "hydra/sweeper/sampler=random",
        "hydra.sweeper.n_trials=4",
        "hydra.sweep.subdir=${hydra.job.num}",
        f"hydra.sweeper.storage={where}/study.db",
        f"hydra.sweeper.tracking.uri={address}",
        "hydra.sweeper.tracking.experiment=searched",
        cwd=where,
        SEQSWEEP_REPORT_EVERY="60",
        **VARIABLES,
    )
    assert ended.returncode == 0, ended.stderr
    _, tracked = runs(address, "searched")
    passwords = [run.data.params["key.password"] for run in tracked if "x" in run.data.params]
    assert passwords == ["***"] * 4
    study = optuna.load_study(study_name="keeps_secrets-1", storage=f"sqlite:///{where}/study.db")
    assert {trial.params["key.password"] for trial in study.trials} <= set(SEARCHED)
    said = [ended.stdout, ended.stderr]
    for command in (["status", "keeps_secrets-1"], ["best"], ["compare", *["keeps_secrets-1"] * 2]):
        words = ["--storage", f"{where}/study.db"]
        words += [] if command[0] == "status" else ["--tracking-uri", address]
        for form in ([], ["--json"]):
            looked = program(Path("-m"), "seqsweep", *command, *words, *form, cwd=where)
            assert looked.returncode == 0, looked.stderr
            said += [looked.stdout, looked.stderr]
    assert [text for text in said if any(secret in text for secret in SEARCHED)] == []
    assert (where / "sweep" / "report" / "figures.html").exists()
    for path in where.rglob("*"):
        is_study = path.name.startswith("study.db")
        if path.is_file() and not is_study:
            assert not any(secret.encode() in content(path) for secret in SEARCHED), path
    for path in (folder / "server").rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in content(path) for secret in SEARCHED), path
