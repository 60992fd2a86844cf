"""Studies behind a database server, which may be away for a while."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from seqsweep.errors import causes
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.patience import REPEATABLE, Patient, repeat


class RemoteDatabase(Patient, Database):
    """A database that is asked again where its server is away.

    A transaction that was cut is done again whole. A trial that the server has given away without
    an answer is one that is never heard of, and Optuna asks for another by itself.
    """

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
        "_create_new_trial",
        "_set_trial_param",
        "_get_best_trial_id",
        "_read",
    ),
)
