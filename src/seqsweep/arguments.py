"""The command line before Hydra sees it: the bare word `sweep`, and the file that it names."""

import itertools
import sys
from pathlib import Path

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqsweep.errors import reason

# Hydra's options that take the next argument as their value.
TAKES_VALUE = {"--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}
TAKES_VALUE |= {"--package", "-p", "--experimental-rerun"}


def check_the_sweep(folder: Path, argv: list[str]) -> None:
    """Reads the sweep file that `argv` chooses, which Hydra would refuse with a traceback.

    Raises:
        SystemExit: the file cannot be read; the message names it and the line.
    """
    for path in folder.glob("*.yaml"):
        if f"sweep={path.stem}" in argv:
            try:
                OmegaConf.load(path)
            except (OSError, yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
                sys.exit(f"error: the sweep file {path} cannot be read: {reason(error)}")


def name_the_sweep(argv: list[str]) -> list[str]:
    """Gives `argv` with a bare word `sweep`, which is no Hydra override, as `sweep=default`."""
    named = argv[:1]
    for before, word in itertools.pairwise(argv):
        is_bare = word == "sweep" and before not in TAKES_VALUE
        named.append("sweep=default" if is_bare else word)
    return named
