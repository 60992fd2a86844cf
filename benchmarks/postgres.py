"""A private PostgreSQL on 127.0.0.1, from the programs that Debian's package `postgresql` has."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql

START_S = 60
OWNER = "sweep"
# How a server is asked to end: at once with what its clients do undone, or as if it had crashed.
SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def programs() -> Path | None:
    """Gives the folder of PostgreSQL's programs, None where it is not installed."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


class Postgres:
    """A server with files, user, password and port of its own; whoever starts it ends it."""

    def __init__(self, *settings: str) -> None:
        """Makes the files; `settings` are as `fsync=off`."""
        self.password = secrets.token_urlsafe(12)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._settings = [*settings, "listen_addresses=127.0.0.1", "unix_socket_directories="]
        # PostgreSQL refuses to run as root, and another user sees no folder of root's
        self._user = _ordinary_user() if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="seqsweep-postgres-"))
        word = self._folder / "password"
        word.write_text(self.password)
        if self._user is not None:
            for place in (self._folder, word):
                shutil.chown(place, self._user)
        command = [programs() / "initdb", "--pgdata", self._folder / "data", "--username", OWNER]
        command += ["--auth", "scram-sha-256", "--pwfile", word, "--no-sync"]
        subprocess.run(
            command, cwd="/", user=self._user, check=True, capture_output=True, text=True
        )
        self._server: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [programs() / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
        for setting in self._settings:
            command += ["-c", setting]
        with (self._folder / "log").open("a") as log:
            self._server = subprocess.Popen(
                command, cwd="/", user=self._user, stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + START_S
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def stop(self, mode: str = "fast") -> None:
        """Ends it, as `pg_ctl stop -m` does."""
        if self._server is not None:
            self._server.send_signal(SIGNALS[mode])
            self._server.wait()
            self._server = None

    def restart(self, mode: str = "fast") -> None:
        """Ends it and starts it again."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Ends it and deletes its files."""
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """Gives the address of a database, with user and password."""
        return f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Creates a database; gives its address."""
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self.url(database)

    def pids(self) -> list[int]:
        """Gives the server's processes that live."""
        pid = self._server.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def ask(self, statement: str) -> list[tuple]:
        """Gives the rows that a statement about the server itself finds."""
        with self._connect() as connection:
            return connection.execute(statement).fetchall()

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url("postgres"), autocommit=True)


def _ordinary_user() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
