"""MNIST and Fashion-MNIST, downloaded once by Keras into its cache and read from there."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from seqsweep.config import DownloadConfig
from seqsweep.data import idx, npz
from seqsweep.data.files import reading, user_path
from seqsweep.data.parts import Parts
from seqsweep.errors import DataError, reason

TIMEOUT_S = 900
# Where Keras keeps the files, below `datasets` in its home.
FILES = {
    "mnist": ("mnist.npz",),
    "fashion_mnist": tuple(f"fashion-mnist/{name}.gz" for name in idx.FILES),
}

_log = logging.getLogger(__name__)


def read(config: DownloadConfig) -> Parts:
    """Gives the arrays, downloaded where Keras' cache lacks them.

    Raises:
        DataError: the download failed or the cache is damaged.
    """
    if config.name == "mnist":
        return _from_cache(config, npz.read_archive, "mnist.npz")
    return _from_cache(config, idx.read_folder, "fashion-mnist")


def peek(config: DownloadConfig) -> Parts:
    """Gives the forms of what `read` gives, downloaded where Keras' cache lacks it.

    Raises:
        DataError: the download failed or the cache is damaged.
    """
    if config.name == "mnist":
        return _from_cache(config, npz.peek_archive, "mnist.npz")
    return _from_cache(config, idx.peek_folder, "fashion-mnist")


def is_cached(config: DownloadConfig) -> bool:
    """Says whether nothing has to be downloaded.

    Raises:
        DataError: Keras' cache cannot be read.
    """
    datasets = keras_home() / "datasets"
    with reading(datasets, "Keras' cache"):
        return all((datasets / file).is_file() for file in FILES[config.name])


def _from_cache(config: DownloadConfig, reader: Callable[[Path], Parts], where: str) -> Parts:
    datasets = keras_home() / "datasets"
    if not is_cached(config):
        _download(config.name, datasets)
    try:
        return reader(datasets / where)
    except DataError as error:
        message = f"{error}; once {datasets / where} is deleted it is downloaded anew"
        raise DataError(message) from error


def keras_home() -> Path:
    """Gives the folder that Keras calls its home, found as in keras/src/backend/config.py."""
    if "KERAS_HOME" in os.environ:
        return user_path(os.environ["KERAS_HOME"])
    home = user_path("~")
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"


def _download(name: str, datasets: Path) -> None:
    """Fills the cache by way of another folder, so that no process ever sees half a file."""
    _log.info("downloading %s into %s, once", name, datasets)
    try:
        datasets.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=datasets, prefix=".download-") as staging:
            _run_keras(name, staging)
            for file in FILES[name]:
                (datasets / file).parent.mkdir(exist_ok=True)
                (Path(staging) / "datasets" / file).replace(datasets / file)
    except (OSError, subprocess.SubprocessError) as error:
        raise DataError(
            f"the download of data={name} into {datasets} failed ({_why(error)}), perhaps for "
            "want of a network: data=mnist_5k and data=idx data.dir=FOLDER work without one"
        ) from error


def _run_keras(name: str, home: str) -> None:
    """Has another process download, for this one must not import TensorFlow."""
    subprocess.run(
        [sys.executable, "-c", f"import keras; keras.datasets.{name}.load_data()"],
        env={**os.environ, "KERAS_HOME": home, "KERAS_BACKEND": "tensorflow"},
        # Python looks for modules in the current folder first: let it be an empty one.
        cwd=home,
        check=True,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
    )


def _why(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError) and error.stderr.strip():
        return error.stderr.strip().splitlines()[-1]
    return reason(error)
