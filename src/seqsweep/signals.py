"""Ctrl-C and SIGTERM, which SLURM and Kubernetes send, as one thing."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

BOTH = (signal.SIGINT, signal.SIGTERM)

_interrupted = threading.Event()


@contextmanager
def handled_by(handler: Callable[[], None]) -> Iterator[None]:
    """Calls `handler` at either signal while in this block; for the main thread."""
    before = {each: signal.signal(each, lambda *_: handler()) for each in BOTH}
    try:
        yield
    finally:
        for each, previous in before.items():
            signal.signal(each, previous)


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
