"""The Optuna study: where it is stored, who samples and who prunes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from hydra.utils import get_class, instantiate
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, RandomSampler
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import make_url

from seqsweep.errors import SearchError, UserError, first_line
from seqsweep.search.seeded import SeededByNumber
from seqsweep.search.space import Space
from seqsweep.stores import make_whole, sqlite_url

SQLITE_TIMEOUT_S = 60


def open_storage(place: str) -> BaseStorage:
    """Opens the store of studies, an SQLAlchemy URL or the path of an SQLite file; may create it.

    SQLite gets a write-ahead log, which lets readers and a writer work at once, and transactions
    that begin IMMEDIATE: as Optuna opens it, two processes can claim the same waiting trial.

    Raises:
        SearchError: the store cannot be opened.
    """
    url = place if "://" in place else sqlite_url(Path(place).expanduser().absolute())
    try:
        if make_url(url).get_backend_name() != "sqlite":
            return RDBStorage(url)
        file = make_url(url).database
        if not file or file == ":memory:":
            raise SearchError(
                f"hydra.sweeper.storage={place!r} is no file: what is in memory no other process "
                "can read; give the path of a file"
            )
        make_whole(Path(file), lambda path: _sqlite(sqlite_url(path)).engine.dispose())
        storage = _sqlite(url)
        sqlalchemy.event.listen(storage.engine, "connect", _set_pragmas)
        sqlalchemy.event.listen(storage.engine, "begin", _begin_immediate)
        storage.engine.dispose()  # the connections so far know nothing of this
        storage.get_all_studies()
    except UserError:
        raise
    except Exception as error:  # drivers and SQLAlchemy raise what they like
        raise _cannot("opened", error) from error
    return storage


def _sqlite(url: str) -> RDBStorage:
    braces = url.replace("{", "{{").replace("}", "}}")  # Optuna formats its URL
    return RDBStorage(braces, engine_kwargs={"connect_args": {"timeout": SQLITE_TIMEOUT_S}})


def _cannot(what: str, error: Exception) -> SearchError:
    why = first_line(error.__cause__ or error)
    return SearchError(f"hydra.sweeper.storage cannot be {what}: {why}")


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else sqlite3 begins transactions of its own
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def create_study(storage: BaseStorage, name: str, directions: Sequence[str]) -> optuna.Study | None:
    """Creates the study; gives None where its name is taken.

    Raises:
        SearchError: the store cannot be written.
    """
    try:
        return optuna.create_study(storage=storage, study_name=name, directions=directions)
    except optuna.exceptions.DuplicatedStudyError:
        return None
    except Exception as error:
        raise _cannot("written", error) from error


def last_number(storage: BaseStorage, base: str) -> int:
    """Gives the highest n of the studies named `base-n`, 0 without any."""
    names = [study.study_name for study in storage.get_all_studies()]
    numbers = [name.removeprefix(f"{base}-") for name in names if name.startswith(f"{base}-")]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def is_grid(config: dict[str, Any]) -> bool:
    """Says whether the sampler is Optuna's grid sampler."""
    return issubclass(_class(config, BaseSampler, "sampler"), GridSampler)


def make_sampler(
    config: dict[str, Any], space: Space, *, seed: int | None, n_slots: int = 1
) -> BaseSampler:
    """Builds the sampler; one without a seed gets `seed`.

    A grid is not sampled: its points wait in the study (`Space.points`), since with several slots
    Optuna's own sampler may draw a point twice and another never.

    Raises:
        SearchError: it cannot be built, or cannot sample this space.
    """
    if is_grid(config):
        space.points()
        return RandomSampler()  # only asked for what does not wait
    arguments = dict(config)
    kind = _class(arguments, BaseSampler, "sampler")
    if "seed" not in inspect.signature(kind).parameters:
        return _build(arguments, kind, "sampler")
    if arguments.get("seed") is None:
        arguments["seed"] = seed
    # a quasi-random sequence is one for all trials, and its place in it lies in the study
    if n_slots == 1 or arguments["seed"] is None or issubclass(kind, QMCSampler):
        return _build(arguments, kind, "sampler")
    return SeededByNumber(partial(_seeded, arguments, kind))


def _seeded(arguments: dict[str, Any], kind: type, number: int) -> BaseSampler:
    (seed,) = np.random.SeedSequence([arguments["seed"], number]).generate_state(1)
    return _build({**arguments, "seed": int(seed)}, kind, "sampler")


def make_pruner(config: dict[str, Any]) -> BasePruner:
    """Builds the pruner.

    Raises:
        SearchError: it cannot be built.
    """
    return _build(config, _class(config, BasePruner, "pruner"), "pruner")


def can_prune(pruner: BasePruner) -> bool:
    """Says whether the pruner ever stops a trial."""
    return not isinstance(pruner, NopPruner)


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
        why = first_line(error.__cause__ or error)
        raise SearchError(f"hydra.sweeper.{role} {kind.__name__} cannot be built: {why}") from error


def silence_optuna() -> None:
    """Keeps Optuna's own lines off the screen: the display says the same, once."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
