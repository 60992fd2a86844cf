"""Ctrl-C and SIGTERM, which SLURM and Kubernetes send, as one thing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BOTH = (signal.SIGINT, signal.SIGTERM)


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
    raise KeyboardInterrupt


def let_the_next_one_kill() -> None:
    """Gives both signals their default meaning: the program ends at once."""
    for each in BOTH:
        signal.signal(each, signal.SIG_DFL)
