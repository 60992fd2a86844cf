"""Looks at a study time and again, beside what else goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from seqsweep.search.study.store.base import STORE_ERRORS


@contextmanager
def looking(look: Callable[[], None], *, every_s: float) -> Iterator[None]:
    """Calls `look` in a thread of its own while in this block, and once more at its end.

    A look for which the store was away is one that saw nothing.
    """
    over = threading.Event()

    def look_often() -> None:
        while not over.wait(every_s):
            look_once()

    def look_once() -> None:
        with contextlib.suppress(*STORE_ERRORS):
            look()

    thread = threading.Thread(target=look_often, name="looking", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        look_once()
