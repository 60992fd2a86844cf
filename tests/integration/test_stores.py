"""A store that cannot be used is told in one sentence; to look at one makes none."""

import json
import os
from pathlib import Path

import psycopg
import pytest

APP = Path(__file__).parent.parent / "apps" / "sphere.py"
SECRET = "very-secret-word"

pytestmark = pytest.mark.cluster


def said(program, folder: Path, storage: str, **env: str) -> str:
    more = [f"hydra.sweeper.storage='{storage}'", "hydra.sweep.dir=jobs", "x=interval(-1.0,1.0)"]
    ended = program(APP, "-m", *more, cwd=folder, **env)
    assert ended.returncode == 1
    assert "Sweep " not in ended.stdout
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("error: hydra.sweeper.storage")
    assert SECRET not in ended.stdout + ended.stderr
    return sentence


def test_a_wrong_password(program, tmp_path, database, postgres):
    url = database().replace(postgres.password, SECRET)
    assert "password authentication failed" in said(program, tmp_path, url)


def test_a_database_that_is_not_there(program, tmp_path, postgres):
    sentence = said(program, tmp_path, postgres.url("nothing_here"))
    assert 'database "nothing_here" does not exist' in sentence
    assert postgres.password not in sentence


def test_a_server_that_is_not_there(program, tmp_path):
    sentence = said(program, tmp_path, f"postgresql://sweep:{SECRET}@127.0.0.1:1/studies")
    assert "Connection refused" in sentence


def test_a_driver_that_is_not_installed(program, tmp_path):
    (tmp_path / "psycopg.py").write_text('raise ModuleNotFoundError("No module named psycopg")')
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    url = f"postgresql://sweep:{SECRET}@127.0.0.1:1/studies"
    sentence = said(program, tmp_path, url, PYTHONPATH=paths)
    assert "pip install 'psycopg[binary]', or the extra postgresql of seqsweep" in sentence


def test_a_dry_run_and_doctor_leave_an_empty_database_as_it_is(program, tmp_path, database):
    url = database()
    words = [f"hydra.sweeper.storage={url}", "x=interval(-1.0,1.0)", "hydra.sweeper.dry_run=true"]
    ended = program(APP, "-m", *words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "sphere-1, a new one" in ended.stdout
    shown = program(Path("-m"), "seqsweep", "doctor", f"--storage={url}", "--json", cwd=tmp_path)
    checks = {check["name"]: check for check in json.loads(shown.stdout)["checks"]}
    assert checks["studies"]["state"] == "ok"
    assert checks["studies"]["seen"].endswith("holds no studies yet")
    with psycopg.connect(url) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(tables).fetchone() == (0,)
