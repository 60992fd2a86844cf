"""Folders that are to be written."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from seqsweep.errors import ConfigError
from seqsweep.hydra_files import HydraFiles, name_without_secrets
from seqsweep.secrets import masked


def make_folder(folder: Path) -> None:
    """Makes `folder` where it does not exist.

    Raises:
        ConfigError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"the folder {folder} cannot be written")


def write_whole(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all: whoever is killed here leaves the one that there was.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise


class MakeRunFolder(Callback):
    """Makes the folder of a single run, with the files in which its config is kept.

    Hydra itself would fail to make it with a traceback, and keep secrets.
    """

    def __init__(self) -> None:
        self._files = HydraFiles()

    def on_run_start(self, config: DictConfig, **_kwargs: Any) -> None:
        """Ends the program where they cannot be made."""
        name_without_secrets(config)
        folder = Path(config.hydra.run.dir).absolute()
        try:
            make_folder(folder)
            self._files.write(config, folder)
        except ConfigError as error:
            sys.exit(f"error: {error}")
        except OSError as error:
            sys.exit(f"error: the folder {masked(str(folder))} cannot be written: {error.strerror}")

    def on_job_start(self, config: DictConfig, **_kwargs: Any) -> None:
        """Lets the job see its config as it was."""
        self._files.on_job_start(config)
