"""An interrupt that comes where Python ignores exceptions is quiet, and not lost."""

import subprocess
import sys

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
