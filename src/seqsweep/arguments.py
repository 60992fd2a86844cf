"""The command line before Hydra sees it: sweep files as a group, and the bare word `sweep`."""

import itertools
import sys
from pathlib import Path

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqsweep.errors import reason

# Hydra's options that take the next argument as their value.
TAKES_VALUE = {"--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}
TAKES_VALUE |= {"--package", "-p", "--experimental-rerun"}


def store_sweeps(folder: Path, argv: list[str]) -> None:
    """Offers each YAML file of `folder` as an option of the config group `sweep`.

    A file that cannot be read is left out, unless `argv` chooses it.

    Raises:
        SystemExit: the chosen file cannot be read; the message names it and the line.
    """
    for path in sorted(folder.glob("*.yaml")):
        try:
            node = OmegaConf.load(path)
        except (OSError, yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            if f"sweep={path.stem}" in argv:
                sys.exit(f"error: the sweep file {path} cannot be read: {reason(error)}")
            continue
        ConfigStore.instance().store(
            group="sweep", name=path.stem, node=node, package="_global_", provider=folder.name
        )


def name_the_sweep(argv: list[str]) -> list[str]:
    """Gives `argv` with a bare word `sweep`, which is no Hydra override, as `sweep=default`."""
    named = argv[:1]
    for before, word in itertools.pairwise(argv):
        is_bare = word == "sweep" and before not in TAKES_VALUE
        named.append("sweep=default" if is_bare else word)
    return named
