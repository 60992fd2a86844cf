"""From which state of the code a run came."""

from __future__ import annotations

import subprocess
from pathlib import Path

COMMIT = "mlflow.source.git.commit"
DIRTY = "git.dirty"


def git_tags(folder: Path) -> dict[str, str]:
    """Gives the commit of `folder` and whether its tree was dirty; empty outside of git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {COMMIT: commit, DIRTY: str(dirty).lower()}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
