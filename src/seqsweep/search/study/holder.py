"""Who runs a study, so that no sweep on another host takes it for one that nobody runs.

On the host of the sweep that ran a study last, the lock on its folder says whether it still does
(see `seqsweep.search.study.claim`). On any other, its trials do: each is heard of in the store
while it runs.
"""

from __future__ import annotations

import functools
import hashlib
import secrets
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from seqsweep.search.study.store.base import STORE_ERRORS, Store

HOLDER = "seqsweep:holder"  # a study's attribute: who runs it, None once that has let it go
MACHINE_ID = Path("/etc/machine-id")  # of Linux; stays when the machine starts again


@dataclass(frozen=True)
class Holder:
    """A sweep that runs a study, or ran it when it was ended.

    Attributes:
        host: the name of the host, for a person.
        machine: what tells two hosts of one name apart.
        token: what tells two sweeps of one host apart.
        since: when it began, by the store's clock.
        grace_period: seconds without a word of its trials after which it is dead.
    """

    host: str
    machine: str
    token: str
    since: str
    grace_period: int

    @classmethod
    def here(cls, storage: Store) -> Holder:
        """Gives this sweep."""
        return cls(
            socket.gethostname(),
            machine(),
            secrets.token_hex(8),
            storage.now().isoformat(),
            storage.grace_period,
        )

    @classmethod
    def read(cls, attributes: Mapping[str, Any]) -> Holder | None:
        """Gives the one that the attributes of a study name."""
        found = attributes.get(HOLDER)
        return cls(**found) if found else None

    @property
    def is_of_this_host(self) -> bool:
        """Whether it runs, or ran, on this host."""
        return (self.host, self.machine) == (socket.gethostname(), machine())

    def silence_s(self, storage: Store, study_id: int) -> float:
        """Gives for how many seconds it has not been heard of."""
        return storage.silence_s(study_id, datetime.fromisoformat(self.since))


@functools.cache
def machine() -> str:
    """Gives what tells this machine from others; a digest, as the id itself is to be kept."""
    known = MACHINE_ID.read_text().strip() if MACHINE_ID.exists() else ""
    return hashlib.sha256(f"seqsweep {known or uuid.getnode()}".encode()).hexdigest()[:16]


def take(storage: Store, study_id: int, before: Holder | None) -> Holder | None:
    """Notes that this sweep runs the study; gives None where another than `before` does by now."""
    holder = Holder.here(storage)
    is_taken = storage.swap(study_id, HOLDER, _plain(before), _plain(holder))
    return holder if is_taken else None


def let_go(storage: Store, study_id: int, holder: Holder) -> bool:
    """Notes that nobody runs the study any more; gives False where another sweep does by now."""
    try:
        return storage.swap(study_id, HOLDER, _plain(holder), None)
    except STORE_ERRORS:  # as much as can be said of a store that fails
        return True


def _plain(holder: Holder | None) -> dict[str, Any] | None:
    return None if holder is None else asdict(holder)
