"""A trial's process, from its first moment."""

import subprocess
import sys

SCRIPT = """
import contextlib, os, signal, sys, time
from pathlib import Path

from omegaconf import OmegaConf

from seqsweep.process.child import Job
from seqsweep.process.parent import TrialProcess, preload

folder = Path(sys.argv[1])
preload([], {}, folder / "preload.log")
for after_ms in range(20):
    process = TrialProcess(Job(b"no pickle", OmegaConf.create(), folder, {}))
    time.sleep(after_ms / 1000)
    with contextlib.suppress(ProcessLookupError):  # it may have ended
        os.kill(process.pid, signal.SIGINT)
    outcome = process.run(on_report=lambda _report: False, log=lambda _report: None)
    print(outcome.reason.partition(":")[0])
"""


def test_ctrl_c_ends_no_trial_that_has_just_been_forked(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == ["UnpicklingError"] * 20, "each came to read its task"
