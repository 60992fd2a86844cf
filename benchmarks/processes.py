"""Processes by the folder that they work in, and an MLflow server that can be killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

START_S = 120  # for a server on a busy machine


def processes_in(folder: Path) -> dict[int, Path]:
    """Gives the processes whose output goes into `folder`, and where to in it.

    Output is inherited, so these are all that descend from a program started with a log there.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it is gone, or another user's
                output = (entry / "fd" / "1").readlink()
                if output.is_relative_to(folder):
                    found[int(entry.name)] = output
    return found


def kill(pid: int) -> bool:
    """Kills the process; says whether it was still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_all_in(folder: Path) -> None:
    """Kills the processes whose output goes into `folder`, and what they have started meanwhile."""
    while processes := processes_in(folder):
        for pid in processes:
            kill(pid)
        time.sleep(0.05)


def clean_environment() -> dict[str, str]:
    """Gives the environment without the store that a user's shell may name."""
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}


class Server:
    """A real `mlflow server` on 127.0.0.1 that serves artifacts too, from a new folder.

    Its records are in `backend`, a URL; without one in an SQLite file there.
    """

    def __init__(self, folder: Path, backend: str | None = None) -> None:
        folder.mkdir()
        self._folder = folder
        self._backend = backend or f"sqlite:///{folder}/mlflow.db"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._process: subprocess.Popen | None = None
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self._port), "--workers", "1"]
        command += ["--backend-store-uri", self._backend]
        command += ["--artifacts-destination", f"{self._folder}/artifacts"]
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                # without its eight processes for jobs of language models
                env={**clean_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"mlflow server does not answer, see {log.name}")
            time.sleep(0.2)

    def kill(self) -> None:
        """Kills it with all its processes."""
        kill_all_in(self._folder)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def be_absent(self, seconds: float) -> None:
        """Kills it, and starts it again after so many seconds."""
        self.kill()
        time.sleep(seconds)
        self.start()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False
