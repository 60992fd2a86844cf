"""`seqsweep doctor` finds what is really broken, says what to do, and what it says helps."""

import base64
import contextlib
import http.server
import json
import os
import shlex
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory

STORES = {"studies": Path("mlruns", "optuna.db"), "MLflow store": Path("mlflow.db")}
# In place of TensorFlow, whose import takes seconds: it works, and there is no GPU.
WORKS = """
__version__ = "2.21"
class config:
    list_physical_devices = staticmethod(lambda kind: [])
"""
Rows = dict[str, list[dict[str, str]]]


@pytest.fixture
def module(tmp_path, root) -> Callable[[str, str], str]:
    """Puts a module in front of the installed one; gives the PYTHONPATH with it."""
    folder = tmp_path / "in_front"
    folder.mkdir()

    def put(name: str, code: str) -> str:
        (folder / f"{name}.py").write_text(code)
        return os.pathsep.join([str(folder), str(root / "src")])

    return put


@pytest.fixture
def doctor(seqsweep, module, tmp_path) -> Callable[..., tuple[int, Rows]]:
    """Runs the command; gives its exit code and its rows by name."""
    here = tmp_path / "here"
    here.mkdir()
    with_works = module("tensorflow", WORKS)

    def run(*words: str, cwd: Path = here, **env: str) -> tuple[int, Rows]:
        ended = seqsweep("doctor", "--json", *words, cwd=cwd, **{"PYTHONPATH": with_works, **env})
        assert ended.returncode in (0, 1), ended.stderr
        assert "Traceback" not in ended.stderr
        rows: Rows = {}
        for row in json.loads(ended.stdout)["checks"]:
            assert row["do"] if row["state"] != "ok" else not row["do"], row
            rows.setdefault(row["name"], []).append(row)
        states = [row["state"] for found in rows.values() for row in found]
        assert ended.returncode == ("fail" in states)
        return ended.returncode, rows

    return run


def one(rows: Rows, name: str) -> dict[str, str]:
    (row,) = rows[name]
    return row


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def port() -> str:
    return f"--port={free_port()}"


def test_where_all_is_well_no_row_fails_and_the_exit_code_is_0(seqsweep, swept, port):
    ended = seqsweep("doctor", port, cwd=swept)
    assert ended.returncode == 0, ended.stdout
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert {row[0] for row in rows if row} <= {"ok", "warn"}
    for seen in ("2.21", "optuna.db is whole", "free for mlflow ui", "mnist_5k, 4000 sequences"):
        assert seen in ended.stdout


HIDDEN = "raise ModuleNotFoundError(\"No module named 'tensorflow'\")"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (HIDDEN, "cannot be imported: ModuleNotFoundError: No module named 'tensorflow'"),
        ("import os; os.abort()", "was killed by SIGABRT"),
        ("import sys; sys.exit(3)", "exit code 3"),
    ],
    ids=["hidden", "crashes", "exits"],
)
def test_a_tensorflow_that_cannot_be_imported_fails(doctor, module, port, code, said):
    exit_code, rows = doctor(port, PYTHONPATH=module("tensorflow", code))
    assert exit_code == 1
    row = one(rows, "TensorFlow")
    assert row["state"] == "fail"
    assert said in row["seen"]
    assert row["do"].startswith("pip install")
    assert "GPU" not in rows


@pytest.fixture
def with_gpus(tmp_path) -> dict[str, str]:
    """A path on which a program `nvidia-smi` lists two GPUs."""
    script = tmp_path / "bin" / "nvidia-smi"
    script.parent.mkdir()
    lines = "0, GPU-1a, 40960, NVIDIA A100\\n1, GPU-2b, 81559, NVIDIA H100\\n"
    script.write_text(f"#!/bin/sh\nprintf '{lines}'\n")
    script.chmod(0o755)
    return {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}


def test_a_gpu_that_tensorflow_does_not_see_fails(doctor, with_gpus, port):
    exit_code, rows = doctor(port, **with_gpus)
    row = one(rows, "GPU")
    assert (exit_code, row["state"]) == (1, "fail")
    assert row["seen"] == "nvidia-smi lists NVIDIA A100, NVIDIA H100, TensorFlow sees none"
    assert "tensorflow[and-cuda]" in row["do"]


def test_a_gpu_that_tensorflow_sees_or_that_is_hidden_is_well(doctor, module, with_gpus, port):
    assert one(doctor(port, CUDA_VISIBLE_DEVICES="-1", **with_gpus)[1], "GPU")["state"] == "ok"
    sees = module("tensorflow", WORKS.replace("[]", "['GPU:0', 'GPU:1']"))
    row = one(doctor(port, PYTHONPATH=sees, **with_gpus)[1], "GPU")
    assert (row["state"], row["seen"][:6]) == ("ok", "2 of 2")


@pytest.fixture
def old_store(tmp_path) -> Path:
    """An SQLite store as an MLflow of some releases ago has made it, by MLflow's own steps."""
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    file = tmp_path / "old" / "mlflow.db"
    file.parent.mkdir()
    url = f"sqlite:///{file}"
    engine = sqlalchemy.create_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    config = _get_alembic_config(url)
    steps = list(ScriptDirectory.from_config(config).walk_revisions())
    command.upgrade(config, steps[10].revision)
    return file


def test_an_old_schema_fails_and_the_command_that_is_told_mends_it(doctor, old_store, port):
    from mlflow.store.db.utils import _get_latest_schema_revision

    row = one(doctor(port, cwd=old_store.parent)[1], "MLflow store, schema")
    assert row["state"] == "fail"
    assert f"is old, this MLflow needs {_get_latest_schema_revision()}" in row["seen"]
    told = shlex.split(row["do"].partition(", then ")[2])
    assert told[:3] == ["mlflow", "db", "upgrade"]
    mended = [sys.executable, "-m", *told]
    subprocess.run(mended, check=True, capture_output=True, cwd=old_store.parent)
    row = one(doctor(port, cwd=old_store.parent)[1], "MLflow store, schema")
    assert (row["state"], row["seen"]) == ("ok", _get_latest_schema_revision())


def test_a_schema_that_this_mlflow_does_not_know_fails(doctor, copy_of_swept, port):
    with contextlib.closing(sqlite3.connect(copy_of_swept / "mlflow.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()
    row = one(doctor(port, cwd=copy_of_swept)[1], "MLflow store, schema")
    assert row["state"] == "fail"
    assert "ffffffffffff is not known to this MLflow" in row["seen"]


@pytest.fixture
def locked() -> Iterator[Callable[[Path], int]]:
    """Lets another process lock an SQLite file; gives its id."""
    holders = []

    def lock(file: Path) -> int:
        code = "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        code += "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(600)"
        holder = subprocess.Popen(
            [sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True
        )
        holders.append(holder)
        assert holder.stdout.readline() == "locked\n"
        return holder.pid

    yield lock
    for holder in holders:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize(("name", "mode"), [("studies", "WAL"), ("MLflow store", "DELETE")])
def test_a_store_that_another_process_locks_fails_and_the_process_is_named(
    doctor, locked, copy_of_swept, port, name, mode
):
    file = copy_of_swept / STORES[name]
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    pid = locked(file)
    rows = doctor(port, cwd=copy_of_swept)[1]
    row = one(rows, f"{name}, lock")
    assert row["state"] == "fail"
    assert f"locked for more than 2 s by another program, process {pid}" in row["seen"]
    (other,) = STORES.keys() - {name}
    assert one(rows, f"{other}, lock")["state"] == "ok"


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("studies", "cut short"),
        ("MLflow store", "cut short"),
        ("MLflow store", "overwritten"),
        ("studies", "no database"),
    ],
)
def test_a_damaged_store_fails(doctor, copy_of_swept, port, name, way):
    file = copy_of_swept / STORES[name]
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(
        {
            "cut short": content[:half],
            "overwritten": content[:4096] + b"\xff" * half + content[4096 + half :],
            "no database": b"an essay, and not a short one\n" * 1000,
        }[way]
    )
    exit_code, rows = doctor(port, cwd=copy_of_swept)
    assert exit_code == 1
    assert rows[name][0]["state"] == "fail"
    assert f"{file} is damaged: " in rows[name][0]["seen"]


@pytest.mark.parametrize("name", STORES)
def test_a_log_without_its_database_fails(doctor, copy_of_swept, port, name):
    file = copy_of_swept / STORES[name]
    log = file.with_name(f"{file.name}-wal")
    log.write_bytes(b"what was written last")
    file.unlink()
    flags = ["--storage", "mlruns/optuna.db", "--tracking-uri", "mlflow.db"]
    row = one(doctor(port, *flags, cwd=copy_of_swept)[1], name)
    assert row["state"] == "fail"
    assert row["seen"] == f"{log} lies there without {file.name}"
    assert log.exists()


def test_a_port_that_another_program_has_is_told(doctor):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        row = one(doctor(f"--port={port}")[1], f"port {port}")
    assert row["state"] == "warn"
    assert f"mlflow ui --port {port + 1}" in row["do"]


def test_an_mlflow_that_has_the_port_is_well(doctor, mlflow_server, tmp_path):
    server = mlflow_server(tmp_path / "server")
    server.start()
    try:
        port = server.uri.rpartition(":")[2]
        rows = doctor(f"--port={port}", MLFLOW_TRACKING_URI=server.uri)[1]
    finally:
        server.kill()
    row = one(rows, f"port {port}")
    assert (row["state"], row["seen"]) == ("ok", f"an MLflow server answers at {server.uri}")
    assert one(rows, "MLflow store") == {
        "name": "MLflow store",
        "state": "ok",
        "seen": f"{server.uri} answers",
        "do": "",
    }


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as an MLflow with a password does, and remembers what it heard."""

    heard: list[str | None] = []  # noqa: RUF012 - one list for all of its instances

    def do_GET(self) -> None:
        self.heard.append(self.headers["Authorization"])
        is_known = self.headers["Authorization"] == f"Basic {KNOWN}"
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_words: object) -> None:
        """Prints nothing."""


KNOWN = base64.b64encode(b"some:p@ss/w0rd").decode()


@pytest.fixture
def guarded() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("user", "variables"),
    [
        ("some:p%40ss%2Fw0rd@", {}),
        ("", {"MLFLOW_TRACKING_USERNAME": "some", "MLFLOW_TRACKING_PASSWORD": "p@ss/w0rd"}),
    ],
)
def test_a_server_is_asked_with_the_password_which_is_not_shown(
    doctor, guarded, port, user, variables
):
    rows = doctor(port, "--tracking-uri", f"http://{user}{guarded}", **variables)[1]
    row = one(rows, "MLflow store")
    assert row["state"] == "ok"
    assert row["seen"] == f"http://{'some:***@' if user else ''}{guarded} answers"
    assert "w0rd" not in str(rows)


def test_a_wrong_password_fails_and_is_not_shown(doctor, guarded, port):
    rows = doctor(port, "--tracking-uri", f"http://some:hunter22@{guarded}")[1]
    assert "does not answer: it answers 401" in one(rows, "MLflow store")["seen"]
    assert "hunter22" not in str(rows)


def test_a_program_at_the_port_is_told_no_password(doctor, guarded):
    Server.heard.clear()
    doctor(f"--port={guarded.rpartition(':')[2]}", MLFLOW_TRACKING_USERNAME="some")
    assert Server.heard == [None]


@pytest.mark.parametrize(
    ("option", "name", "place"),
    [
        ("--tracking-uri", "MLflow store", "sqlite:/x://["),
        ("--tracking-uri", "MLflow store", "http://["),
        ("--tracking-uri", "MLflow store", "./"),
        ("--tracking-uri", "MLflow store", "nowhere"),
        ("--storage", "studies", "sqlite+x://@:y"),
        ("--storage", "studies", "sqlite+x:///y"),
    ],
)
def test_an_address_that_is_none_fails(doctor, port, option, name, place):
    row = one(doctor(port, option, place)[1], name)
    assert row["state"] == "fail"
    assert place in row["seen"]


def test_an_address_that_is_not_looked_at_is_said_so(doctor, port):
    row = one(doctor(port, MLFLOW_TRACKING_URI="databricks")[1], "MLflow store")
    assert (row["state"], row["seen"]) == ("ok", "databricks, not looked at")


def test_data_of_the_users_own_is_found_where_run_py_finds_it(doctor, port, tmp_path):
    (tmp_path / "here" / "mine.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    x, y = np.zeros((20, 3, 2), np.float32), np.arange(20) % 2\n"
        "    return x, y, x, y\n"
    )
    words = ("--data=function", "data.function=mine:load", "data.n_validation=4")
    row = one(doctor(port, *words)[1], "data")
    assert (row["state"], row["seen"]) == ("ok", "function, 16 sequences to train on")


def test_a_server_that_is_away_fails(doctor, port):
    row = one(doctor(port, "--tracking-uri", f"http://127.0.0.1:{free_port()}")[1], "MLflow store")
    assert row["state"] == "fail"
    assert "does not answer: [Errno 111] Connection refused" in row["seen"]


@pytest.mark.parametrize(
    ("scheme", "why"),
    [
        ("postgresql+nothing", "begins with postgresql+nothing://, which is no database that we"),
        ("postgresql", "postgresql://me:***@127.0.0.1:1/studies cannot be read: connection failed"),
    ],
)
def test_studies_behind_a_server_that_is_away_fail(doctor, port, scheme, why):
    place = f"{scheme}://me:hunter22@127.0.0.1:1/studies"
    row = one(doctor(port, "--storage", place)[1], "studies")
    assert row["state"] == "fail"
    assert why in row["seen"]
    assert "hunter22" not in row["seen"]


def test_digits_that_are_not_installed_fail(doctor, module, port):
    hides = "import sys; sys.modules['mlxtend'] = None"
    row = one(doctor(port, PYTHONPATH=module("sitecustomize", hides))[1], "data")
    assert row["state"] == "fail"
    assert "needs the package mlxtend, which is not installed" in row["seen"]
    assert row["do"] == "pip install mlxtend"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "idx", "data.dir=/nonexistent"], "/nonexistent is no folder"),
        (["--data", "idx"], "data.dir is not set"),
        (["--data", "npz", "data.path=no.npz"], "no.npz does not exist"),
        (["--data", "nosuch"], "nosuch"),
        (["data.n_validation=4500"], "n_validation=4500"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_data_that_is_missing_fails(doctor, port, words, said):
    row = one(doctor(port, *words)[1], "data")
    assert row["state"] == "fail"
    assert said in row["seen"]


def test_data_that_is_not_downloaded_yet_is_told_and_not_downloaded(doctor, port, tmp_path):
    row = one(doctor(port, "--data", "mnist", KERAS_HOME=str(tmp_path / "keras"))[1], "data")
    assert (row["state"], row["seen"]) == ("warn", "mnist is not there yet")
    assert not (tmp_path / "keras").exists()


METADATA = """Metadata-Version: 2.4
Name: seqsweep
Version: 9
Requires-Python: >=3.99
Requires-Dist: numpy<1
Requires-Dist: optuna>=5
Requires-Dist: no-such-package>=3; python_version>"3"
Requires-Dist: torch<0; extra == "gp"
"""


def test_versions_that_were_not_asked_for_fail(doctor, module, port, tmp_path):
    import numpy

    in_front = module("tensorflow", WORKS)
    info = tmp_path / "in_front" / "seqsweep-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    rows = doctor(port, PYTHONPATH=in_front)[1]
    assert one(rows, "Python")["state"] == "fail"
    assert one(rows, "Python")["seen"].endswith("asked for is >=3.99")
    assert one(rows, "packages")["state"] == "fail"
    assert one(rows, "packages")["seen"] == (
        f"numpy {numpy.__version__}, asked for is <1; "
        "no-such-package is not installed, asked for is >=3"
    )


def test_a_disk_that_is_nearly_full_fails(project, module, tmp_path):
    """On a small file system that only this program sees."""
    disk = tmp_path / "disk"
    disk.mkdir()
    module("tensorflow", WORKS)
    steps = [
        f"mount -t tmpfs -o size=24m tmpfs {disk}",
        f"cp -r {project}/. {disk}",
        f"cd {disk}",
        f"PYTHONPATH={tmp_path}/in_front:{disk}/src {sys.executable} -m seqsweep doctor --json",
    ]
    alone = ["unshare", "-m" if os.geteuid() == 0 else "-rm"]
    ended = subprocess.run(
        [*alone, "sh", "-c", " && ".join(steps)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    (row,) = [row for row in json.loads(ended.stdout)["checks"] if row["name"] == "disk"]
    assert row["state"] == "fail"
    assert row["seen"].endswith(f"MB free in {disk}")


@pytest.fixture
def journal(tmp_path) -> Path:
    """A journal of studies, with half a line at its end."""
    file = tmp_path / "studies.journal"
    file.write_text('{"op_code":0}\n{"op_code":1}\n{"op_co')
    return file


@pytest.mark.parametrize("is_there", [True, False])
def test_a_journal_that_is_whole_or_not_there_yet_is_well(doctor, port, journal, is_there):
    if not is_there:
        journal.unlink()
    rows = doctor(port, "--storage", f"journal:///{journal}")[1]
    row = one(rows, "studies")
    assert row["state"] == "ok"
    assert ("is whole" if is_there else "is not there yet") in row["seen"]
    assert journal.exists() == is_there
    if is_there:
        assert one(rows, "studies, lock")["seen"] == "free"


def test_a_damaged_line_of_a_journal_and_a_lock_that_stays_are_told(doctor, port, journal):
    journal.write_text('{"op_code":0}\n{"op_{"op_code":1}\n{}\n')
    lock = journal.with_name("studies.journal.lock")
    lock.symlink_to(journal.name)
    rows = doctor(port, "--storage", f"journal:///{journal}")[1]
    assert one(rows, "studies")["state"] == "fail"
    assert one(rows, "studies")["seen"] == f"{journal} is damaged: its line 2 is no JSON"
    assert one(rows, "studies, lock")["state"] == "warn"
    assert f"{lock} has been held by one program" in one(rows, "studies, lock")["seen"]
