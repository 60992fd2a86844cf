"""The command line before Hydra sees it: sweep files as a group, and the bare word `sweep`."""

import itertools
import sys
from pathlib import Path

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

# Hydra's options that take the next argument as their value.
TAKES_VALUE = {"--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}
TAKES_VALUE |= {"--package", "-p", "--experimental-rerun"}


def store_sweeps(folder: Path) -> None:
    """Offers each YAML file of `folder` as an option of the config group `sweep`.

    Raises:
        SystemExit: a file is no valid YAML; the message names it and the line.
    """
    for path in sorted(folder.glob("*.yaml")):
        try:
            node = OmegaConf.load(path)
        except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            sys.exit(
                f"error: the sweep file {path} is no valid YAML: {' '.join(str(error).split())}"
            )
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
