"""`seqsweep proxy`: what it says, that it ends when it is told to, and what it refuses."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FuturesTimeoutError
from contextlib import closing, suppress

import optuna
import pytest
from optuna.storages import GrpcStorageProxy

PASSWORD = "very-secret"


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts the command in an empty folder."""
    started = []

    def start(*words: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "seqsweep", "proxy", "--port", "0", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if k != "CI"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_says_where_it_listens_and_ends_cleanly_when_it_is_told_to(start, tmp_path, number):
    process = start("--storage", "studies.db")
    said = process.stdout.readline()
    found = re.fullmatch(r"serves (.*) as hydra.sweeper.storage=grpc://127.0.0.1:(\d+)\n", said)
    assert found[1] == "studies.db"
    storage = GrpcStorageProxy(port=int(found[2]))
    optuna.create_study(study_name="a", storage=storage)
    process.send_signal(number)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")
    storage.close()
    names = optuna.get_all_study_names(f"sqlite:///{tmp_path}/studies.db")
    assert names == ["a"]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_ends_when_it_is_told_to_while_a_call_waits_for_a_file_that_another_has_locked(
    start, tmp_path
):
    process = start("--storage", "studies.db")
    port = int(process.stdout.readline().rpartition(":")[2])
    study = optuna.create_study(storage=GrpcStorageProxy(port=port))
    with closing(sqlite3.connect(tmp_path / "studies.db", isolation_level=None)) as locked:
        locked.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(study._storage.create_new_trial, study._study_id)
            with pytest.raises(FuturesTimeoutError):
                asked.result(timeout=1)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
            assert asked.exception(timeout=10) is not None
    assert (process.returncode, errors) == (0, "")
    study._storage.close()


def test_an_address_that_grpc_cannot_listen_at_is_one_sentence(seqsweep, tmp_path):
    ended = seqsweep("proxy", "--storage=studies.db", "--host=", "--port=0", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: :0 cannot be listened at: ")
    assert line.endswith("; --host and --port take others")


def test_a_port_in_use_is_one_sentence(seqsweep, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = seqsweep("proxy", "--storage=studies.db", "--port", port, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: 127.0.0.1:{port} cannot be listened at: ")
    assert line.endswith("Address already in use; --host and --port take others")


def test_a_store_that_cannot_be_opened_is_one_sentence_without_its_password(seqsweep, tmp_path):
    place = f"postgresql://sweep:{PASSWORD}@127.0.0.1:1/studies"
    ended = seqsweep("proxy", "--storage", place, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert "hydra.sweeper.storage cannot be opened: " in line
    assert PASSWORD not in line


@pytest.mark.cluster
def test_the_password_of_a_database_is_not_shown(start, database, postgres):
    process = start("--storage", database())
    said = process.stdout.readline()
    assert said.startswith("serves postgresql://sweep:***@127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert postgres.password not in said
