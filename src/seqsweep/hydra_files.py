"""The files in which Hydra keeps a job's config, without the secrets that Hydra would write."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from seqsweep.secrets import masked, masked_yaml


class HydraFiles(Callback):
    """Writes them in Hydra's place.

    Call `write` before Hydra runs the job, and let this be the first of the job's callbacks.
    """

    def __init__(self) -> None:
        self._subdir: str | None = None

    def write(self, config: DictConfig, folder: Path) -> None:
        """Writes the files of the job that runs in `folder`, and keeps Hydra from writing them.

        Raises:
            OSError: they cannot be written.
        """
        self._subdir = config.hydra.output_subdir
        if self._subdir is None:
            return
        _set(config.hydra.runtime, "output_dir", str(folder))
        own = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
        hydra = own.pop("hydra")
        parts = {"config": own, "hydra": {"hydra": hydra}, "overrides": hydra["overrides"]["task"]}
        (folder / self._subdir).mkdir(parents=True, exist_ok=True)
        for name, part in parts.items():
            path = folder / self._subdir / f"{name}.yaml"
            path.write_text(masked_yaml(part), encoding="utf-8")
        _set(config.hydra, "output_subdir", None)

    def on_job_start(self, config: DictConfig, **_kwargs: Any) -> None:
        """Gives the config back the value by which Hydra was kept from writing."""
        if self._subdir is not None:
            for hydra in (config.hydra, HydraConfig.get()):
                _set(hydra, "output_subdir", self._subdir)


def name_without_secrets(config: DictConfig, searched: Collection[str] = ()) -> None:
    """Takes the secrets out of the overrides by which a job's folder may be named.

    What is searched stays, or trials that differ in it alone would share a folder.
    """
    with contextlib.suppress(OmegaConfBaseException):  # an override that cannot be resolved
        job = config.hydra.job
        how, name = job.config.override_dirname, job.override_dirname
        between, equals = re.escape(how.item_sep), re.escape(how.kv_sep)
        parts = re.split(rf"({between})(?=[^{equals}{between}]+{equals})", name)
        shown = [
            part if part.partition(how.kv_sep)[0].lstrip("+") in searched else masked(part)
            for part in parts
        ]
        if shown != parts:
            _set(job, "override_dirname", "".join(shown))


def _set(node: DictConfig, key: str, value: str | None) -> None:
    with read_write(node), open_dict(node):
        node[key] = value
