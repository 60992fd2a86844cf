"""Studies behind a database server, which may be away for a while."""

from __future__ import annotations

from optuna.trial import FrozenTrial
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from seqsweep.errors import causes
from seqsweep.search.study.store import once
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.patience import REPEATABLE, Patient, repeat


class RemoteDatabase(Patient, Database):
    """A database that is asked again where its server is away.

    A transaction that was cut is done again whole. A trial that the server has given away without
    an answer is one that is never heard of, and Optuna asks for another by itself; one that is made
    to wait is known by its mark.
    """

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        """Makes a trial; one with a template once, also where Optuna asks again by itself."""
        if self.is_patient:  # else who asks has marked it
            template_trial = once.marked(template_trial)
        ask = super()._create_new_trial
        return self._repeated(lambda: ask(study_id, template_trial))

    def passes(self, error: Exception) -> bool:
        """Says whether it is of a server that is away, starts, or has cut a transaction."""
        return passes(self, error)


def passes(database: Database, error: Exception) -> bool:
    """Says whether it is of a server that is away, starts, or has cut or undone a transaction.

    SQLAlchemy leaves the driver's own errors as they are where a connection is given back.
    """
    driver = database.engine.dialect.dbapi
    kinds = (OperationalError, InterfaceError, NoConnectionError)
    kinds += (driver.OperationalError, driver.InterfaceError)
    return any(isinstance(each, kinds) for each in causes(error))


repeat(RemoteDatabase, REPEATABLE)
# What Optuna's cache and other methods ask of a database.
repeat(
    RemoteDatabase,
    (
        "get_trial_user_attrs",
        "get_trial_system_attrs",
        "_set_trial_param",
        "_get_best_trial_id",
        "_read",
    ),
)
