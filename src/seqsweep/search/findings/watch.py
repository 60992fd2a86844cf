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

from seqsweep.errors import UserError
from seqsweep.search.findings.files import FOLDER, PAGE, PICTURES, SUMMARY, TABLE, Written
from seqsweep.search.findings.snapshot import Snapshot
from seqsweep.tracking import DESCRIPTION, Run

SHARE = 0.05  # of a core at most, on average: after a slow renewal the next one waits longer
LONGEST_S = 300.0  # for one renewal; what takes longer hangs
LONGEST_DESCRIPTION = 5000  # characters; MLflow refuses a tag of more than 8,000


class Watch:
    """Renews the findings of a sweep in `folder` and in its run.

    A process of its own draws them, the least of all in priority. `every_s` are the seconds from
    one renewal to the next; None renews nothing, at the end either. To be used as a context.
    """

    def __init__(
        self, folder: Path, every_s: float | None, take: Callable[[], Snapshot], run: Run
    ) -> None:
        self._folder, self._every_s = folder / FOLDER, every_s
        self._take, self._run = take, run
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._renew_often, name="findings", daemon=True)

    def __enter__(self) -> Watch:
        if self._every_s is None:
            return self
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
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._thread.join()  # it gets no answer any more
            self._pipe.close()

    def begin_last(self) -> None:
        """Begins the last renewal, once no trial runs any more."""
        self._over.set()
        if self._process is not None:
            self._thread.join()
            self._ask(self._take(), draws=True)

    def end_last(self) -> str | None:
        """Ends it, with what is known by now; gives a sentence where something is missing."""
        if self._process is None:
            return None
        problem = self._answer()
        self._ask(self._take(), draws=False)
        return problem or self._answer()

    def _renew_often(self) -> None:
        wait_s = self._every_s
        with contextlib.suppress(Exception):  # of a store that fails the trials tell
            while not self._over.wait(wait_s):
                began = time.monotonic()
                self._ask(self._take(), draws=True)
                self._answer()
                wait_s = max(self._every_s, (time.monotonic() - began) / SHARE)

    def _ask(self, snapshot: Snapshot, *, draws: bool) -> None:
        with contextlib.suppress(OSError):  # a process that is gone gives no answer either
            self._pipe.send((snapshot, self._folder, draws))

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
        try:
            self._send(answer)
        except UserError as error:
            return f"report and figures could not be kept: {error}"
        if not answer.problems:
            return None
        return f"figures that could not be drawn: {'; '.join(answer.problems)}"

    def _send(self, written: Written) -> None:
        _title, _, rest = written.report.partition("\n\n")  # the page has one
        if len(rest) > LONGEST_DESCRIPTION:
            rest = f"{rest[:LONGEST_DESCRIPTION]} … (the rest is in {FOLDER}/{SUMMARY})"
        self._run.tag({DESCRIPTION: rest})
        self._run.add_file(self._folder / SUMMARY, FOLDER)
        self._run.add_table(self._folder / TABLE, FOLDER)
        if written.has_page:
            self._run.add_file(self._folder / PAGE, FOLDER)
        for name in written.pictures:
            self._run.add_file(self._folder / PICTURES / name, f"{FOLDER}/{PICTURES}")
