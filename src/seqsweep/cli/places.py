"""Where the stores are that a command looks at when it is told of none."""

from __future__ import annotations

import os
from pathlib import Path

import seqsweep

STUDIES, RUNS = Path("mlruns", "optuna.db"), Path("mlflow.db")


def project() -> Path | None:
    """Gives the project's folder, in which `src/run.py` keeps everything.

    That is the current one, or the one that this package lies in; None where both are not.
    """
    folders = (Path.cwd(), Path(seqsweep.__file__).resolve().parents[2])
    is_project = (each for each in folders if (each / "src" / "run.py").is_file())
    return next((each for each in is_project if (each / "conf").is_dir()), None)


def studies(given: str | None) -> str:
    """Gives the place of the store of studies, a path or a URL."""
    return given or str(_nearest(STUDIES))


def runs(given: str | None) -> str:
    """Gives the address of the MLflow store."""
    from seqsweep.stores import sqlite_url  # and so SQLAlchemy, which --help is not to wait for

    return given or os.environ.get("MLFLOW_TRACKING_URI") or sqlite_url(_nearest(RUNS))


def _nearest(file: Path) -> Path:
    """Gives the file in the current folder, or the project's where there is none."""
    here, root = Path.cwd() / file, project()
    return here if here.exists() or root is None else root / file
