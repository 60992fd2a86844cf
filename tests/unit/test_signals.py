"""An interrupt that comes where Python ignores exceptions is quiet, and not lost."""

import os
import signal
import subprocess
import sys
import threading
import time

from seqsweep.signals import handled_by, held_back

SCRIPT = """
import os, signal, weakref
from seqsweep.signals import handled_by, heed_interrupt, interrupt

class Thing:
    pass

with handled_by(interrupt):
    thing = Thing()
    ref = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
    del thing  # the signal comes within the callback
    print("went on")
    try:
        heed_interrupt()
    except KeyboardInterrupt:
        print("heeded")
"""


def test_an_interrupt_inside_a_weak_references_callback_is_heeded_later_without_a_traceback():
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout.splitlines() == ["went on", "heeded"]
    assert ended.stderr == ""


def test_a_signal_that_is_held_back_comes_once_after_the_block():
    came = []
    with handled_by(lambda: came.append("heard")):
        with held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
            assert came == []
        assert came == ["heard"]
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
    assert came == ["heard", "heard"]


def test_a_signal_that_is_passed_on_is_answered_within_the_block_then_outside():
    came = []
    with (
        handled_by(lambda: came.append("outside")),
        handled_by(lambda: came.append("within"), passes_on=True),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert came == ["within", "outside"]


def test_in_another_thread_there_is_nothing_to_hold_back_or_to_handle():
    errors = []

    def hold() -> None:
        try:
            with held_back(), handled_by(lambda: None):
                pass
        except ValueError as error:  # only the main thread may set handlers
            errors.append(error)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert errors == []
