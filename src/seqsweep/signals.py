"""Ctrl-C and SIGTERM, which SLURM and Kubernetes send, as one thing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

BOTH = (signal.SIGINT, signal.SIGTERM)
# What submitit has SLURM send before a job's time limit, to all processes of the job.
TIME_IS_UP = signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]

_interrupted = threading.Event()


@contextmanager
def handled_by(handler: Callable[[], None], *, passes_on: bool = False) -> Iterator[None]:
    """Calls `handler` at either signal while in this block; in the main thread, which gets them.

    With `passes_on` the handler that stands outside of the block is called then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in BOTH}

    def handle(number: int, frame: Any) -> None:
        handler()
        if passes_on:
            before[number](number, frame)

    for each in BOTH:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)


@contextmanager
def held_back() -> Iterator[None]:
    """Lets either signal come after this block; in the main thread, the one that is interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in BOTH}
    try:
        yield
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)
        for number in came:
            signal.raise_signal(number)


class Ended:
    """That this process, a worker, is to end, alone or with all others; for the main thread."""

    def __init__(self) -> None:
        self._call: Callable[[], None] | None = None  # it has not begun yet
        self._has_come = False
        self.is_time_up = False

    def calls(self, call: Callable[[], None]) -> None:
        """Names what is called then; at once where it has come.

        A worker that ended before it has begun would be one that failed, for which launchers kill
        the others.
        """
        self._call = call
        if self._has_come:
            call()

    def _heard(self, number: int, _frame: Any) -> None:
        self.is_time_up |= number == TIME_IS_UP
        self._has_come = True
        if self._call is not None:
            self._call()


@contextmanager
def ended_by_its_host() -> Iterator[Ended]:
    """Hears of the end while in this block.

    Where a time limit nears, what submitit does then comes after the block: it puts the job back
    into the queue, or ends it.
    """
    ended = Ended()
    if threading.current_thread() is not threading.main_thread():
        yield ended
        return
    heeded = (*BOTH, TIME_IS_UP)
    before = {each: signal.signal(each, ended._heard) for each in heeded}
    try:
        yield ended
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)
    if ended.is_time_up and callable(before[TIME_IS_UP]):
        before[TIME_IS_UP](TIME_IS_UP, None)


def interrupt() -> None:
    """Raises KeyboardInterrupt, as Python itself does at Ctrl-C."""
    _interrupted.set()
    sys.unraisablehook = _quiet_of_interrupts
    raise KeyboardInterrupt


def _quiet_of_interrupts(unraisable: Any) -> None:
    """Says nothing of an interrupt that came where Python must ignore it; it is heeded later."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def heed_interrupt() -> None:
    """Raises KeyboardInterrupt where one came and was lost.

    Python ignores what is raised inside a destructor or a weak reference's callback, and a signal
    may come there. Call this where the next long part begins.
    """
    if _interrupted.is_set():
        raise KeyboardInterrupt


def let_the_next_one_kill() -> None:
    """Gives both signals their default meaning: the program ends at once."""
    for each in BOTH:
        signal.signal(each, signal.SIG_DFL)
