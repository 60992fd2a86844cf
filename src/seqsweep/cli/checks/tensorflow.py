"""Whether TensorFlow can be imported, and sees the GPUs that there are.

It is imported in another process: a CPU without an instruction that it wants kills that one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from seqsweep.cli.checks import Check, fail, ok
from seqsweep.gpus import list_gpus

TIMEOUT_S = 120
ASK = (
    "import json, tensorflow as tf; "
    "found = tf.config.list_physical_devices('GPU'); "
    "print(json.dumps({'version': tf.__version__, 'gpus': len(found)}))"
)
REINSTALL = "pip install --require-hashes -r requirements.lock"
CUDA = (
    "pip install 'tensorflow[and-cuda]', and look whether the driver is as new as its CUDA asks; "
    "or take the CPU, as devices=cpu"
)


def check_tensorflow() -> list[Check]:
    """Imports TensorFlow, and holds the GPUs that it sees against those of nvidia-smi."""
    try:
        ended = subprocess.run(
            [sys.executable, "-c", ASK],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [fail("TensorFlow", f"its import took more than {TIMEOUT_S} s", REINSTALL)]
    if ended.returncode != 0:
        return [fail("TensorFlow", _why(ended), REINSTALL)]
    found = json.loads(ended.stdout.strip().splitlines()[-1])
    return [ok("TensorFlow", found["version"]), _check_gpus(found["gpus"])]


def _why(ended: subprocess.CompletedProcess[str]) -> str:
    if ended.returncode < 0:
        return f"its import was killed by {signal.Signals(-ended.returncode).name}"
    said = ended.stderr.strip().splitlines()
    return f"it cannot be imported: {said[-1] if said else f'exit code {ended.returncode}'}"


def _check_gpus(seen: int) -> Check:
    listed = [gpu.name for gpu in list_gpus()]
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not listed:
        return ok("GPU", f"{seen} seen by TensorFlow" if seen else "none: trials run on the CPU")
    if seen:
        return ok("GPU", f"{seen} of {len(listed)} seen by TensorFlow: {', '.join(listed)}")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return ok("GPU", f"{len(listed)}, hidden by CUDA_VISIBLE_DEVICES={hidden}")
    return fail("GPU", f"nvidia-smi lists {', '.join(listed)}, TensorFlow sees none", CUDA)
