"""SQLite files: their addresses, and how one comes to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.engine import URL

from seqsweep.folders import make_folder


def sqlite_url(path: Path) -> str:
    """Gives the SQLAlchemy URL of an SQLite file, whatever characters its path holds."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def make_whole(path: Path, build: Callable[[Path], None]) -> None:
    """Makes the file `path` where it does not exist, whole or not at all.

    Both Optuna and MLflow build their tables in many steps: a program that is ended among them
    would leave a file that no later start can use, and two that begin at once trip each other.

    Args:
        path: the file.
        build: makes such a file at another path, and closes it.

    Raises:
        ConfigError: the folder cannot be made or written.
    """
    make_folder(path.parent)
    if path.exists():
        return
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        new = Path(folder) / path.name
        build(new)
        try:
            path.hardlink_to(new)
        except FileExistsError:
            return  # another program was faster
        except OSError:  # a file system without hard links
            new.rename(path)
