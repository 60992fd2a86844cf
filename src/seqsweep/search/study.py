"""The Optuna study: where it is stored, what it is called, who samples and who prunes."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from hydra.utils import get_class, instantiate
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, GridSampler
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import make_url

from seqsweep.errors import SearchError
from seqsweep.search.space import Space

SQLITE_TIMEOUT_S = 60


def open_storage(url: str) -> BaseStorage:
    """Opens the store of studies at an SQLAlchemy URL; creates it where it does not exist.

    SQLite gets a write-ahead log, which lets readers and a writer work at once, and transactions
    that begin IMMEDIATE: as Optuna opens it, two processes can claim the same waiting trial.

    Raises:
        SearchError: the store cannot be opened.
    """
    try:
        if make_url(url).get_backend_name() != "sqlite":
            return RDBStorage(url)
        if (file := make_url(url).database) and file != ":memory:":
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": SQLITE_TIMEOUT_S}})
    except Exception as error:  # drivers and SQLAlchemy raise what they like
        reason = str(error).strip().splitlines()[0]
        raise SearchError(f"hydra.sweeper.storage cannot be opened: {reason}") from error
    sqlalchemy.event.listen(storage.engine, "connect", _set_pragmas)
    sqlalchemy.event.listen(storage.engine, "begin", _begin_immediate)
    storage.engine.dispose()  # the connections so far know nothing of this
    return storage


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else sqlite3 begins transactions of its own
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def create_study(
    storage: BaseStorage, name: str | None, *, base: str, direction: str
) -> optuna.Study:
    """Creates the study `name`, or where that is None `base-1`, or with the next free number.

    Raises:
        SearchError: `name` is taken.
    """
    while True:
        chosen = name or _next_name(storage, base)
        try:
            return optuna.create_study(storage=storage, study_name=chosen, direction=direction)
        except optuna.exceptions.DuplicatedStudyError as error:
            if name is not None:  # else another sweep took the number meanwhile
                raise SearchError(
                    f"hydra.sweeper.study_name={name!r} is taken; give another name, or none for "
                    "the next number"
                ) from error


def _next_name(storage: BaseStorage, base: str) -> str:
    names = [study.study_name for study in storage.get_all_studies()]
    numbers = [name.removeprefix(f"{base}-") for name in names if name.startswith(f"{base}-")]
    return f"{base}-{max((int(n) for n in numbers if n.isdecimal()), default=0) + 1}"


def make_sampler(config: dict[str, Any], space: Space, *, seed: int | None) -> BaseSampler:
    """Builds the sampler; the grid sampler gets its grid, one without a seed gets `seed`.

    Raises:
        SearchError: it cannot be built, or cannot sample this space.
    """
    arguments = dict(config)
    kind = _class(arguments, BaseSampler, "sampler")
    if issubclass(kind, GridSampler):
        arguments["search_space"] = space.grid()
    if "seed" in inspect.signature(kind).parameters and arguments.get("seed") is None:
        arguments["seed"] = seed
    return _build(arguments, kind, "sampler")


def make_pruner(config: dict[str, Any]) -> BasePruner:
    """Builds the pruner.

    Raises:
        SearchError: it cannot be built.
    """
    return _build(config, _class(config, BasePruner, "pruner"), "pruner")


def _class(config: dict[str, Any], base: type, role: str) -> type:
    target = config.get("_target_")
    try:
        kind = get_class(target)
    except Exception as error:
        raise SearchError(f"hydra.sweeper.{role}._target_={target!r} names no class") from error
    if not issubclass(kind, base):
        raise SearchError(f"hydra.sweeper.{role}._target_={target!r} is no {base.__name__}")
    return kind


def _build(arguments: dict[str, Any], kind: type, role: str) -> Any:
    given = {key: value for key, value in arguments.items() if key != "_target_"}
    try:
        return instantiate({"_target_": arguments["_target_"]}, **given)
    except Exception as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise SearchError(
            f"hydra.sweeper.{role} {kind.__name__} cannot be built: {reason}"
        ) from error


def silence_optuna() -> None:
    """Keeps Optuna's own lines off the screen: the display says the same, once."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
