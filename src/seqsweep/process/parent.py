"""The worker's end: starts a trial process, relays what it says and tells how it ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from seqsweep.outcome import Completed, Failed, Outcome, Pruned
from seqsweep.process import child, preloading
from seqsweep.process.messages import CHECKPOINT_FOLDER, Report, Stopped
from seqsweep.process.pickling import pickled
from seqsweep.signals import held_back

# Hears each report of a trial; gives True where the trial is to stop.
OnReport = Callable[[Report], bool]
# Gets each report after the trial has had its answer: a slow store delays no step.
Log = Callable[[Report], None]

LEAVING_S = 10  # for a process that has said its last word: threads that it left may still run
DYING_S = 60
UNKNOWN = 255  # multiprocessing's exit code of a process whose forkserver is gone

_FORKSERVER = multiprocessing.get_context("forkserver")
# Starting a process polls all others. Two threads that poll one of them at once would both read its
# exit code from one pipe, where it is only once.
_REAPING = threading.Lock()


def preload(names: Iterable[str], config: Mapping[str, Any], log: Path) -> None:
    """Names what the forkserver imports before it forks the first trial; call it before that.

    A name `module:function` has the function called with the config, plain values of JSON. What
    they print goes into the file `log`.
    """
    preloading.order(names, config, log)
    ours = (child.__name__, f"{preloading.__package__}.preloaded")  # which only it may import
    _FORKSERVER.set_forkserver_preload(["__main__", *ours])


class TrialProcess:
    """One job in a process of its own.

    Call `run` once; when it returns or raises, the process is gone. `kill` and `interrupt` may come
    from another thread, or from a signal's handler, at any time.
    """

    def __init__(self, job: child.Job) -> None:
        self._checkpoint = job.folder / CHECKPOINT_FOLDER
        self._killed_with: Failed | None = None
        self._leaving_s = LEAVING_S
        self._has_ended = False  # its last word is heard, or it is being reaped
        self._ending = threading.RLock()  # a signal's handler may kill while its thread holds it
        payload = pickled(replace(job, app=b""))
        self._connection, theirs = _FORKSERVER.Pipe()
        # no daemon, for a daemon may start no process of its own, as a DataLoader does
        self._process = _FORKSERVER.Process(target=child.main, args=(payload, job.app, theirs))
        with held_back(), _REAPING:  # half of a start would leave a process with half of its task
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def kill(self, outcome: Failed) -> None:
        """Ends the process at once, with that outcome; one that has ended keeps its own."""
        with self._ending:
            if not self._has_ended:
                self._killed_with = outcome
                self._send(signal.SIGKILL)

    def interrupt(self, outcome: Failed) -> None:
        """Tells a trial that keeps checkpoints to write its last one and end; kills any other."""
        if not self._checkpoint.is_dir():
            return self.kill(outcome)
        with self._ending:
            if not self._has_ended:
                self._leaving_s = 0  # TensorFlow takes its time to leave
                self._send(signal.SIGTERM)

    def is_gone(self) -> bool:
        """Says whether the process has ended."""
        return bool(wait([self._process.sentinel], 0))

    def run(self, on_report: OnReport, log: Log) -> Outcome:
        """Relays reports until the process has ended, and gives the outcome."""
        try:
            last, step = self._relay(on_report, log)
            with self._ending:
                self._has_ended = last is not None
            wait([self._process.sentinel], self._leaving_s if last is not None else DYING_S)
        finally:
            exit_code = self._end()
        if self._killed_with is not None:
            return self._killed_with
        match last:
            case Completed() | Failed():
                return last
            case Stopped():
                return Pruned(step)
        return Failed(_death(exit_code), again=True)

    def _end(self) -> int | None:
        """Makes sure that the process is gone; gives its exit code."""
        if not self.is_gone():
            self._send(signal.SIGKILL)
            wait([self._process.sentinel], DYING_S)
        with self._ending:  # a reaped process' number may be another's
            self._has_ended = True
        with _REAPING:
            self._process.join()
        if self._process.exitcode == UNKNOWN:  # the forkserver is gone, the process may not be
            self._send(signal.SIGKILL)
        self._connection.close()
        return self._process.exitcode

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def _relay(self, on_report: OnReport, log: Log) -> tuple[Any, int]:
        """Gives the last word, None without one, and the number of the last report."""
        step = 0
        while True:
            message = self._receive()
            if not isinstance(message, Report):
                return message, step
            stop = on_report(message)
            if message.judge is not None:
                step = message.judge.step
                with contextlib.suppress(OSError):  # it is gone, as the next message will say
                    self._connection.send(stop)
            log(message)

    def _receive(self) -> Any:
        """Gives the next message, None where the process is gone without one."""
        if self._connection not in wait([self._connection, self._process.sentinel]):
            return None
        try:
            return self._connection.recv()
        except (EOFError, OSError):  # gone, perhaps in the middle of a message
            return None


def _death(exit_code: int | None) -> str:
    """Says why a process that left no word is gone."""
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = {"SIGKILL": " (out of memory?)", "SIGSEGV": " (segmentation fault)"}.get(name, "")
        return f"the trial process was ended by {name}{hint}"
    return f"the trial process ended by itself with exit code {exit_code}"
