"""Keeps the findings in a sweep's run up to date, while it runs and at its end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path

from seqsweep.errors import UserError, first_line
from seqsweep.search.report.findings.files import (
    FOLDER,
    PAGE,
    PICTURES,
    SUMMARY,
    TABLE,
    Written,
    write_report,
)
from seqsweep.search.report.findings.snapshot import Snapshot
from seqsweep.search.report.findings.summary import Importances
from seqsweep.tracking import DESCRIPTION, Run

SHARE = 0.05  # of a core at most, on average: after a slow renewal the next one waits longer
LONGEST_S = 300.0  # for one renewal; what takes longer hangs
LONGEST_DESCRIPTION = 5000  # characters; MLflow refuses a tag of more than 8,000


class Watch:
    """Renews the findings of a sweep in `folder` and in its run.

    A process of its own draws them, the least of all in priority; the last report is written here,
    so that it is true however the sweep and that process end. `every_s` are the seconds from one
    renewal to the next; None renews nothing, at the end either. To be used as a context.
    """

    def __init__(
        self, folder: Path, every_s: float | None, take: Callable[[], Snapshot], run: Run
    ) -> None:
        self._folder, self._every_s = folder / FOLDER, every_s
        self._take, self._run = take, run
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._renew_often, name="findings", daemon=True)
        self._importances: Importances = {}
        self._shown: object = None  # what of the trials the last renewal has shown
        self._is_true = False  # the last report is written
        self._problem: str | None = None  # why no last figures are drawn

    def __enter__(self) -> Watch:
        if self._every_s is not None:
            self._start()
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        if self._process is None:
            return
        self._process.kill()
        self._thread.join()  # it gets no answer any more
        self._process.kill()  # another one, where that was being started
        self._process.wait()
        self._pipe.close()
        if not self._is_true:
            self._write_last()

    def begin_last(self) -> None:
        """Begins to draw the last figures, once no trial runs any more."""
        self._over.set()
        if self._process is not None:
            self._thread.join()
            try:
                self._ask(self._take())
            except Exception as error:  # it must not end the sweep
                self._problem = f"the figures could not be drawn: {first_line(error)}"

    def end_last(self) -> str | None:
        """Ends it, and writes the last report; gives a sentence where something is missing."""
        if self._process is None:
            return None
        problem = self._problem or self._answer()
        return self._write_last() or problem

    def _start(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.drawing", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt is the sweep's
            )

    def _renew_often(self) -> None:
        wait_s = self._every_s
        while not self._over.wait(wait_s):
            began = time.monotonic()
            with contextlib.suppress(Exception):  # of a store that fails the trials tell
                self._renew()
            wait_s = max(self._every_s, (time.monotonic() - began) / SHARE)

    def _renew(self) -> None:
        """Renews what has changed, once the run has all of the last renewal."""
        if not self._run.is_sent:
            return
        snapshot = self._take()
        if snapshot.progress == self._shown:
            return
        self._ask(snapshot)
        if self._answer() is None:
            self._shown = snapshot.progress

    def _ask(self, snapshot: Snapshot) -> None:
        if self._process.poll() is not None:
            self._pipe.close()
            self._start()
        with contextlib.suppress(OSError):  # a process that is gone gives no answer either
            self._pipe.send((snapshot, self._folder))

    def _answer(self) -> str | None:
        """Waits for the files and sends them; gives a sentence where something is missing."""
        try:
            if not self._pipe.poll(LONGEST_S):
                self._process.kill()
                return f"the figures were not drawn within {LONGEST_S:.0f} s"
            answer = self._pipe.recv()
        except (EOFError, OSError):
            return "the process that draws the figures has died"
        if not isinstance(answer, Written):
            return f"report and figures could not be written: {answer}"
        self._importances = answer.importances
        if (problem := self._sent(answer)) is not None or not answer.problems:
            return problem
        return f"figures that could not be drawn: {'; '.join(answer.problems)}"

    def _write_last(self) -> str | None:
        try:
            self._is_true = True
            written = write_report(self._take(), self._folder, self._importances)
        except Exception as error:  # it must not hide what ended the sweep
            return f"the report could not be written: {first_line(error)}"
        return self._sent(written)

    def _sent(self, written: Written) -> str | None:
        """Lets the run keep the files; gives a sentence where it cannot."""
        _title, _, rest = written.report.partition("\n\n")  # the page has one
        if len(rest) > LONGEST_DESCRIPTION:
            rest = f"{rest[:LONGEST_DESCRIPTION]} … (the rest is in {FOLDER}/{SUMMARY})"
        try:
            self._run.tag({DESCRIPTION: rest})
            self._run.add_file(self._folder / SUMMARY, FOLDER)
            self._run.add_table(self._folder / TABLE, FOLDER)
            if written.has_page:
                self._run.add_file(self._folder / PAGE, FOLDER)
            for name in written.pictures:
                self._run.add_file(self._folder / PICTURES / name, f"{FOLDER}/{PICTURES}")
        except UserError as error:
            return f"report and figures could not be kept: {error}"
        return None
