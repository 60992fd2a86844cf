"""What the workers of one sweep share, where a launcher starts them in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna

from seqsweep.errors import ConfigError, SearchError, TrackingError
from seqsweep.process.parent import preload
from seqsweep.record import visible
from seqsweep.search.plan import Plan
from seqsweep.search.space.points import PointSampler
from seqsweep.search.study.claim import is_run_in
from seqsweep.search.study.holder import Holder
from seqsweep.search.study.store.base import LOOK_S
from seqsweep.search.study.store.opening import is_sqlite
from seqsweep.search.workers.slots import Slot, make_shared_slots, make_slots
from seqsweep.search.workers.stops import Stop
from seqsweep.tracking import JOURNAL, Tracking, open_tracking

STOP = "seqsweep:stop"  # a study's attribute: what is to end the workers of one holder
ORPHANED = Stop("interrupt", "the program that started this worker is gone", is_failure=True)
GONE = Stop("grace_period", "the sweep has let the study go", is_failure=True)
OUTPUT = "output.log"  # in a worker's folder: what it would have shown on a screen
REFUSED = "refused.txt"  # there too: what the tracking store would not record
MANY = 50  # workers; where there are more, each looks at the sweep less often than once a second
# Variables of the environment that go with a worker; PostgreSQL's client reads its own PG….
CARRIED = ("MLFLOW_", "SEQSWEEP_", "PG")


@dataclass(frozen=True)
class Crew:
    """The workers of a sweep.

    Attributes:
        size: how many the launcher starts.
        shares_host: whether they share the slots of one host, which would else be counted by each.
        is_watched: whether the lock on the sweep's folder tells on its host that it runs.
        chance: what their samplers have in common where no seed is given.
        ends_at: until when trials may start, in seconds since 1970; None without `timeout`.
        points: deals all points of a space, None where a sampler chooses.
        environment: variables of the sweep's program that its workers need.
    """

    size: int
    shares_host: bool
    is_watched: bool
    chance: int
    ends_at: float | None
    points: PointSampler | None
    environment: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, plan: Plan, study: optuna.Study) -> Crew:
        """Gives the crew of a sweep that begins now."""
        timeout = plan.settings.timeout
        points = PointSampler(plan.known[: plan.n_trials], study) if plan.tries_all else None
        return cls(
            size=plan.settings.n_workers,
            shares_host=plan.launcher.is_local,
            is_watched=is_run_in(plan.folder),
            chance=secrets.randbits(32),
            ends_at=None if timeout is None else time.time() + timeout,
            points=points,
            environment={k: v for k, v in os.environ.items() if k.startswith(CARRIED)},
        )

    @property
    def look_s(self) -> float:
        """How many seconds a worker lets go by from one look at the sweep to the next.

        A thousand that look each second would be too much for any store.
        """
        return LOOK_S * max(1.0, self.size / MANY)

    @property
    def timeout_s(self) -> float | None:
        """How many seconds are left in which trials may start."""
        return None if self.ends_at is None else max(0.0, self.ends_at - time.time())

    def slots(self, plan: Plan, number: int | None) -> list[Slot]:
        """Gives the slots of the worker of that number, in its own process.

        `n_jobs` counts those of each worker. Without it, workers of one host share its slots. One
        that a person has started has no number, and all that it finds.

        Raises:
            ConfigError: a device is not there, or has the trials of other workers already.
        """
        devices, n_jobs = plan.settings.devices, plan.settings.n_jobs
        n_jobs = None if n_jobs == "auto" else n_jobs
        if self.shares_host and number is not None:
            return make_shared_slots(devices, n_jobs, self.size)[number :: self.size]
        slots = make_slots(devices, n_jobs)
        if self.shares_host and plan.holder.is_of_this_host:
            _refuse_taken_devices(plan, slots)
        return slots


def _refuse_taken_devices(plan: Plan, slots: list[Slot]) -> None:
    """Lets a worker that a person has started give no GPU, or listed device, more trials at once.

    A CPU that has more of them is slower, and no more.
    """
    if plan.settings.devices.slots is not None or any(slot.gpu for slot in slots):
        names = ", ".join(dict.fromkeys(slot.name for slot in slots))
        raise ConfigError(
            f"{names}: the workers that the sweep has started on this host have these devices, so "
            "that another one runs no trial here; start it on another host, or the sweep with a "
            "larger hydra.sweeper.n_workers"
        )


def settle_in(plan: Plan, crew: Crew, folder: Path) -> None:
    """Makes this process one in which a worker can run.

    Raises:
        SearchError: it runs on another host, and the store is an SQLite file.
    """
    _refuse_a_distant_file(plan)
    for name, value in crew.environment.items():
        os.environ.setdefault(name, value)
    os.chdir(plan.jobs.master.hydra.runtime.cwd)  # what the config names may be relative to it
    # What a launcher has made of this process its trials would be told to become too
    multiprocessing.set_start_method(None, force=True)
    sys.modules["__main__"] = ModuleType("__main__")  # they would import the launcher's anew
    warm_up(plan, folder)


def warm_up(plan: Plan, folder: Path) -> None:
    """Starts what trials are forked from; what their modules print as they load is in `folder`."""
    preload(plan.settings.preload, visible(plan.jobs.base, []), folder / "preload.log")
    forkserver.ensure_running()


def _refuse_a_distant_file(plan: Plan) -> None:
    if is_sqlite(plan.storage) and not plan.holder.is_of_this_host:
        here = socket.gethostname()
        raise SearchError(
            f"hydra.sweeper.storage is an SQLite file of the host {plan.holder.host}, and this "
            f"worker runs on {here}: SQLite's write-ahead log does not work over a network; give "
            "the URL of a server, as postgresql+psycopg://user@host/database, or "
            "journal:////FOLDER/studies.journal in a folder that all hosts see, or "
            "hydra/launcher=joblib, whose workers run on one host"
        )


def flush(plan: Plan, tracking: Tracking, folder: Path, *, in_all_s: float) -> str | None:
    """Waits for the store to have a worker's records; gives a sentence on what it has not.

    What it refused is noted in the worker's folder, where the sweep finds it.
    """
    unsent = tracking.flush(plan.settings.tracking.wait, in_all_s=in_all_s)
    if (refusal := tracking.refusal()) is not None:
        (folder / REFUSED).write_text(refusal, encoding="utf-8")
    return unsent


def send_what_workers_left(plan: Plan, *, in_all_s: float) -> str | None:
    """Sends the records that workers could not; none of them may run.

    Gives a sentence on each worker whose records the store still has not.
    """
    folders = [journal.parent for journal in plan.folder.glob(f"workers/*/{JOURNAL}")]
    said = []
    for folder in sorted(folders):
        try:
            tracking = open_tracking(plan.settings.tracking, folder)
            said.append(flush(plan, tracking, folder, in_all_s=in_all_s))
        except TrackingError as error:  # the store is away, or the file is another's
            said.append(str(error))
    return "\n".join(filter(None, said)) or None


def refusal_of_workers(plan: Plan) -> str | None:
    """Gives what the store refused to record of the workers, once."""
    notes = sorted(plan.folder.glob(f"workers/*/{REFUSED}"))
    said = [f"worker {note.parent.name}: {note.read_text(encoding='utf-8')}" for note in notes]
    for note in notes:
        note.unlink()
    return "\n".join(said) or None


def tell_all(study: optuna.Study, holder: Holder, stop: Stop) -> None:
    """Ends the workers of a sweep, wherever they run, within seconds."""
    study.set_user_attr(STOP, {**asdict(stop), "token": holder.token})


def told(attributes: Mapping[str, Any], holder: Holder) -> Stop | None:
    """Gives what `tell_all` said to the workers of this sweep, None where nothing yet.

    The attributes are those of the study.
    """
    found = dict(attributes.get(STOP) or {})
    return Stop(**found) if found.pop("token", None) == holder.token else None


def why_to_end(plan: Plan, crew: Crew | None, attributes: Mapping[str, Any]) -> Stop | None:
    """Says what ends a worker that the study's trials do not tell; None where its sweep goes on.

    Without a crew the worker is the sweep's own program. A sweep that was killed gives its lock
    back at once; on its own host that can be seen.
    """
    holder = Holder.read(attributes)
    if (stop := told(attributes, plan.holder)) is not None:
        return stop
    if holder is None:
        return GONE
    if holder.token != plan.holder.token:
        return _taken_over(plan, holder)
    if crew and crew.is_watched and holder.is_of_this_host and not is_run_in(plan.folder):
        return ORPHANED
    return None


def _taken_over(plan: Plan, holder: Holder) -> Stop:
    return Stop(
        "grace_period",
        f"another sweep went on with {plan.study_name} on the host {holder.host}, as this one was "
        f"not heard of for longer than {plan.settings.grace_period} s",
        is_failure=True,
    )
