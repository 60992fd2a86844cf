"""The name and the folder of a sweep, which no other sweep has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from seqsweep.errors import SearchError
from seqsweep.folders import make_folder
from seqsweep.search.jobs import Jobs

OWN_FILE = "multirun.yaml"  # a sweep's folder has it, as with Hydra's sweepers


@dataclass
class Claim:
    """Names the study, which names the folder, and takes both."""

    jobs: Jobs
    path: Path | None = None  # the file by which this sweep has taken its folder

    @property
    def base(self) -> str:
        """What a study without a name of its own is named after."""
        master = self.jobs.master
        return master.hydra.runtime.choices.get("sweep") or master.hydra.job.name

    @property
    def given_name(self) -> str | None:
        """The name that the user gave."""
        return self.jobs.settings.study_name

    def take_after(self, number: int) -> None:
        """Takes the given name, or the first after `number` whose folder no sweep has taken.

        The folder is taken by making the file in it, which only one program can.

        Raises:
            SearchError: the folder holds another sweep.
            ConfigError: it cannot be made.
        """
        tried: Path | None = None
        while True:
            number += 1
            self.jobs.call_study(self.given_name or f"{self.base}-{number}")
            folder = self.jobs.folder
            make_folder(folder)
            try:
                (folder / OWN_FILE).touch(exist_ok=False)
                self.path = folder / OWN_FILE
                return
            except FileExistsError as error:
                if self.given_name is not None:
                    raise self.taken() from error
                if folder == tried:
                    raise SearchError(
                        f"the folder {folder} holds another sweep; give hydra.sweep.dir "
                        "another folder, or one with ${now:%H-%M-%S} or "
                        "${hydra.sweeper.study_name} in it"
                    ) from error
                tried = folder

    def keep(self) -> None:
        """Writes the config into the folder: the sweep has begun."""
        if self.path is not None:
            OmegaConf.save(self.jobs.master, self.path)

    def give_back(self) -> None:
        """Removes the claim, if this sweep has one: the file may be another sweep's."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None

    @contextmanager
    def given_back_on_error(self) -> Iterator[None]:
        """Leaves the folder to other sweeps where this one does not come to begin."""
        try:
            yield
        except BaseException:
            self.give_back()
            raise

    def taken(self) -> SearchError:
        """Gives the error that the name is taken."""
        return SearchError(
            f"hydra.sweeper.study_name={self.jobs.study_name!r} is taken by an earlier sweep; give "
            "another name, or none for the next number"
        )
