"""A store that cannot be used is told in one sentence before anything runs."""

import os
from pathlib import Path

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
