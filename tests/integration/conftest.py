"""A server of MLflow's, as a user starts one."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

START_S = 180  # on a busy machine

Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def served() -> Serve:
    """Runs MLflow's command while in a block, once it answers there; gives its address."""

    @contextmanager
    def serve(python: str, *words: str, folder: Path, answers: str, **env: str) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        with (folder / "served.log").open("w") as log:
            server = subprocess.Popen(
                [python, "-m", "mlflow", *words, "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder,
                env={**clean, **env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_for(f"http://127.0.0.1:{port}/{answers}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            subprocess.run(["pkill", "-TERM", "-g", str(server.pid)], check=False)
            server.wait(30)

    return serve


def wait_for(address: str, server: subprocess.Popen) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert server.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the server does not answer")
