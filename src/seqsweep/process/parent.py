"""The worker's end: starts a trial process, relays what it says and tells how it ended."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterable
from multiprocessing.connection import wait
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton

from seqsweep.outcome import Completed, Failed, Outcome, Pruned
from seqsweep.process import child
from seqsweep.process.messages import Point, Raised, Report, Returned, Stopped

# Hears each report of a trial; gives True where the trial is to stop.
OnReport = Callable[[Report], bool]
# Gets the points of each report, after the trial has had its answer: a slow store delays no step.
Log = Callable[[tuple[Point, ...]], None]

_FORKSERVER = multiprocessing.get_context("forkserver")


def preload(modules: Iterable[str]) -> None:
    """Names what the forkserver imports before it forks the first trial; call it before that."""
    _FORKSERVER.set_forkserver_preload(["__main__", child.__name__, *modules])


class TrialProcess:
    """One job in a process of its own.

    Call `run` once; `kill` may come from another thread at any time.
    """

    def __init__(self, job: child.Job, *, n_values: int = 1) -> None:
        self._n_values = n_values
        self._killed_because: str | None = None
        self._connection, theirs = _FORKSERVER.Pipe()
        payload = cloudpickle.dumps((job, Singleton.get_state()))
        self._process = _FORKSERVER.Process(target=child.main, args=(payload, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def kill(self, reason: str) -> None:
        """Ends the process at once; its outcome is `Failed(reason)`."""
        self._killed_because = reason
        self._process.kill()

    def run(self, on_report: OnReport, log: Log) -> Outcome:
        """Relays reports until the process has ended, and gives the outcome."""
        last, stopped_at = self._relay(on_report, log)
        self._process.join()
        self._connection.close()
        if self._killed_because is not None:
            return Failed(self._killed_because)
        match last:
            case Returned(value):
                return objective_values(value, self._n_values)
            case Stopped() if stopped_at is not None:
                return Pruned(stopped_at)
            case Raised(reason, traceback):
                return Failed(reason, traceback)
        return Failed(_death(self._process.exitcode))

    def _relay(self, on_report: OnReport, log: Log) -> tuple[Any, int | None]:
        """Gives the last word, None without one, and at which report it was told to stop."""
        stopped_at = None
        while True:
            message = self._receive()
            if not isinstance(message, Report):
                return message, stopped_at
            stop = on_report(message)
            if message.judge is not None:
                stopped_at = message.judge.step if stop else stopped_at
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self._connection.send(stop)
            log(message.points)

    def _receive(self) -> Any:
        """Gives the next message, None where the process is gone without one."""
        if self._connection not in wait([self._connection, self._process.sentinel]):
            return None
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError):
            return None


def objective_values(value: Any, n_values: int) -> Completed | Failed:
    """Turns what a task function returned into the values of the objectives."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) != n_values:
        return Failed(f"the function returned {len(values)} values where {n_values} are expected")
    try:
        numbers = tuple(map(_number, values))
    except (TypeError, ValueError):
        return Failed(f"the function returned {_short(value)}, which is no number")
    if not all(map(math.isfinite, numbers)):
        return Failed(f"the objective is not finite: {_short(value)}")
    return Completed(numbers)


def _number(value: Any) -> float:
    if isinstance(value, (bool, str, bytes)):
        raise TypeError(value)
    return float(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _death(exit_code: int | None) -> str:
    """Says why a process that left no word is gone."""
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = {"SIGKILL": " (out of memory?)", "SIGSEGV": " (segmentation fault)"}.get(name, "")
        return f"the trial process was ended by {name}{hint}"
    return f"the trial process ended by itself with exit code {exit_code}"
