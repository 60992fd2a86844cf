"""Whether there is room for what a sweep writes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from seqsweep.cli.checks import Check, fail, ok, warn

LEAST = 100e6  # bytes: some dozen models of this project's with their runs
FEW = 1e9
DO = "delete job folders of old sweeps below mlruns/jobs, or set hydra.sweep.dir elsewhere"


def check_disk(folder: Path) -> Check:
    """Looks at the free room where the project keeps everything, and whether it can be written."""
    folder = next(each for each in (folder, *folder.parents) if each.is_dir())
    free = shutil.disk_usage(folder).free
    seen = f"{free / 1e9:.1f} GB free in {folder}"
    if not os.access(folder, os.W_OK):
        return fail("disk", f"{folder} cannot be written", "give yourself the right to write it")
    if free < LEAST:
        return fail("disk", f"{free / 1e6:.1f} MB free in {folder}", DO)
    return warn("disk", seen, DO) if free < FEW else ok("disk", seen)
