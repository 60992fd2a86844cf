"""A private MariaDB on 127.0.0.1, from the programs that Debian's `mariadb-server` has."""

import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pymysql

START_S = 60
OWNER = "sweep"
# How a server is asked to end: in good order, or as if it had crashed.
SIGNALS = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}


def is_installed() -> bool:
    """Says whether its programs are there."""
    return all(
        shutil.which(program) for program in ("mariadbd", "mariadb-install-db", "my_print_defaults")
    )


class MariaDB:
    """A server with files, user, password and port of its own; whoever starts it ends it."""

    def __init__(self) -> None:
        """Makes the files; the first start makes the user."""
        self.password = secrets.token_urlsafe(12)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = Path(tempfile.mkdtemp(prefix="seqsweep-mariadb-"))
        data = self._folder / "data"
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={data}"]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(command, check=True, capture_output=True)
        (self._folder / "user.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{OWNER}'@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{OWNER}'@'%';\n"
        )
        self._server: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = ["mariadbd", "--no-defaults", f"--datadir={self._folder / 'data'}"]
        command += ["--bind-address=127.0.0.1", f"--port={self.port}", "--skip-name-resolve"]
        command += [f"--socket={self._folder / 'socket'}", f"--init-file={self._folder}/user.sql"]
        command += ["--user=root"]  # whoever runs the tests owns the files
        with (self._folder / "log").open("a") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_S
        while True:
            try:
                self._connect().close()
                return
            except pymysql.OperationalError:
                if self._server.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def stop(self, mode: str = "fast") -> None:
        """Ends it."""
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
        self.stop("immediate")
        shutil.rmtree(self._folder)

    def create(self, database: str) -> str:
        """Creates a database; gives its address."""
        connection = self._connect()
        with connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{database}`")
        return f"mysql+pymysql://{OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _connect(self) -> pymysql.Connection:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=OWNER, password=self.password, autocommit=True
        )
