"""What an MLflow store raises, as one sentence, and whether the same request may work later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from seqsweep.errors import TrackingError, UserError, causes, first_line
from seqsweep.secrets import masked

# By these MLflow says that it will not do it, however often it is asked.
REFUSALS = frozenset(
    codes.ErrorCode.Name(code)
    for code in (
        codes.INVALID_PARAMETER_VALUE,
        codes.INVALID_STATE,
        codes.RESOURCE_DOES_NOT_EXIST,
        codes.RESOURCE_ALREADY_EXISTS,
    )
)
# So a server answers a file that it will not take: 413, too large, and the like.
FINAL = frozenset(range(400, 500)) - {401, 403, 408, 429}
# A file that is gone, or a value that cannot be sent.
OF_THE_RECORD = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    AttributeError,
    LookupError,
    TypeError,
)


class StoreAway(TrackingError):  # noqa: N818 - a state more than an error
    """The store cannot be reached, or cannot do it now; later it may."""


@contextmanager
def told_of(uri: str) -> Iterator[None]:
    """Turns what a store raises, SQLAlchemy's errors, requests' or MLflow's, into one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        kind = StoreAway if may_pass(error) else TrackingError
        raise kind(f"the MLflow store {masked(uri)} fails: {_at_heart(error)}") from error


def may_pass(error: Exception) -> bool:
    """Says whether the same request may work later. In doubt it may: a refusal loses the record.

    By BAD_REQUEST MLflow means any error of SQLAlchemy's too, a lost connection among them.
    """
    if isinstance(error, MlflowException):
        return error.error_code not in REFUSALS
    if (response := getattr(error, "response", None)) is not None:  # requests', of a file
        return response.status_code not in FINAL
    return not isinstance(error, OF_THE_RECORD)


def _at_heart(error: BaseException) -> str:
    """Gives what the system said, "Connection refused", where that is behind the error."""
    said = (cause.strerror for cause in causes(error) if isinstance(cause, OSError))
    return next(filter(None, said), first_line(error))
