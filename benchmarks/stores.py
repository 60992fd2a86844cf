"""How many trials a second a store of studies takes from many processes, and whether it errs.

Question: Which store for how many workers?
Command:  python benchmarks/stores.py
Cost:     about five minutes; all processes and servers share the machine's cores

Each process asks for a trial with four parameters, random ones, reports ten values, asks the pruner
each time, and tells the result; as fast as it can, for some seconds. So the figures are of the
store, and of what its client takes of a core. Then the processes take trials that wait in the study
until none is left; a trial that two of them got was claimed twice.

SQLite            with a write-ahead log and transactions that begin IMMEDIATE: what seqsweep opens
SQLite, Optuna's  the same file format as Optuna alone opens it
journal file      Optuna's JournalStorage with heartbeats and the lock of ours: what seqsweep opens
journal, Optuna's  the same as Optuna alone opens it, with its default lock
PostgreSQL        what seqsweep opens, and what Optuna alone does; a private server on 127.0.0.1
gRPC proxy        `seqsweep proxy` before the same PostgreSQL, and Optuna's run_grpc_proxy_server

client is the processor's time that a process takes for a trial, whatever else the machine does.
"""

import argparse
import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from postgres import Postgres, programs
from rich.console import Console
from rich.table import Table

from seqsweep.search.study.store.opening import open_storage

SPACE = {name: FloatDistribution(-1, 1) for name in "abcd"}
N_REPORTS = 10
WAITED = "waited"  # an attribute of the trials that wait
MOST_ERRORS = 200  # of one process, which then gives up
GRACE_S = 60
OPTUNAS_PROXY = """\
import os, optuna
storage = optuna.storages.get_storage(os.environ["BEHIND"])
optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=int(os.environ["PORT"]))
"""
OPENS: dict[str, Callable[[str], BaseStorage]] = {
    "SQLite": lambda place: open_storage(place, grace_period=GRACE_S),
    "SQLite, Optuna's": lambda place: RDBStorage(f"sqlite:///{place}"),
    "journal file": lambda place: open_storage(f"journal:///{place}", grace_period=GRACE_S),
    "journal, Optuna's": lambda place: JournalStorage(JournalFileBackend(place)),
    "PostgreSQL": lambda place: open_storage(place, grace_period=GRACE_S),
    "PostgreSQL, Optuna's": lambda place: RDBStorage(place),
    "gRPC proxy": lambda place: open_storage(f"grpc://{place}", grace_period=GRACE_S),
    "gRPC proxy, Optuna's": lambda place: GrpcStorageProxy(port=int(place.rpartition(":")[2])),
}
SERVERS = ("PostgreSQL", "PostgreSQL, Optuna's", "gRPC proxy", "gRPC proxy, Optuna's")


@dataclass(frozen=True)
class Worked:
    """What one process did: trials it ended, and in which time by the clock and of a core."""

    trials: int
    seconds: float
    core_s: float
    errors: tuple[str, ...]
    claimed: tuple[int, ...]


def be_quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


def work(kind: str, place: str, seconds: float, ready, begun, results) -> None:
    """Is one of the processes; `ready` lets all begin at once, `begun` those that claim."""
    be_quiet()
    study = optuna.load_study(
        study_name="a", storage=OPENS[kind](place), sampler=RandomSampler(seed=os.getpid())
    )
    errors: list[str] = []
    ready.wait()
    began, core, trials = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() < began + seconds and len(errors) < MOST_ERRORS:
        with noted(errors):
            run_one(study)
            trials += 1
    took, core_s = time.perf_counter() - began, time.process_time() - core
    waiting = optuna.load_study(study_name="waiting", storage=study._storage)
    begun.wait()
    claimed: list[int] = []
    is_left = True
    while is_left and len(errors) < MOST_ERRORS:
        with noted(errors):
            trial = waiting.ask()
            is_left = WAITED in trial.user_attrs
            if is_left:
                claimed.append(trial.number)
    results.put(Worked(trials, took, core_s, tuple(errors), tuple(claimed)))


def run_one(study: optuna.Study) -> None:
    trial = study.ask(SPACE)
    for step in range(N_REPORTS):
        trial.report(trial.params["a"] / (step + 1), step)
        trial.should_prune()
    study.tell(trial, trial.params["a"])


@contextlib.contextmanager
def noted(errors: list[str]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a store raises is what is counted
        errors.append(type(error.__cause__ or error).__name__)


def measure(kind: str, place: str, n: int, seconds: float, claims: int) -> list[Worked]:
    storage = OPENS[kind](place)
    optuna.create_study(study_name="a", storage=storage)
    waiting = optuna.create_study(study_name="waiting", storage=storage)
    for number in range(claims):
        waiting.enqueue_trial({"a": number / claims}, user_attrs={WAITED: True})
    context = multiprocessing.get_context("spawn")
    ready, begun, results = context.Barrier(n), context.Barrier(n), context.Queue()
    arguments = (kind, place, seconds, ready, begun, results)
    processes = [context.Process(target=work, args=arguments) for _ in range(n)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60 + 20 * seconds) for _ in processes]
    for process in processes:
        process.join()
    return found


@contextlib.contextmanager
def place_for(kind: str, server: Postgres | None, name: str) -> Iterator[str]:
    """Makes an empty store."""
    if kind not in SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            yield f"{folder}/studies"
    elif kind.startswith("gRPC proxy"):
        with proxy_before(server.create(name), is_ours=kind == "gRPC proxy") as (place, _):
            yield place
    else:
        yield server.create(name)


@contextlib.contextmanager
def proxy_before(url: str, *, is_ours: bool) -> Iterator[tuple[str, int]]:
    """Starts a proxy; gives its host and port, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "BEHIND": url, "PORT": str(port)}
    command = ["-m", "seqsweep", "proxy", "--storage", url, "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", *(command if is_ours else ["-c", OPTUNAS_PROXY])],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        GrpcStorageProxy(port=port).wait_server_ready(timeout=60)
        yield f"127.0.0.1:{port}", server.pid
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def server_if_installed() -> Iterator[Postgres | None]:
    if programs() is None:
        print("PostgreSQL is not installed: left out, and the proxy too", file=sys.stderr)
        yield None
        return
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 8, 16])
    parser.add_argument("--seconds", type=float, default=8, help="that each row is measured")
    parser.add_argument("--claims", type=int, default=100, help="trials that wait")
    parser.add_argument("--store", nargs="+", choices=OPENS, default=list(OPENS))
    given = parser.parse_args()
    be_quiet()
    table = Table(box=None, pad_edge=False)
    first = given.store[0]
    columns = ("", "processes", "trials/s", f"to {first}", "client", "errors", "claimed twice")
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    with server_if_installed() as server:
        kinds = [kind for kind in given.store if server is not None or kind not in SERVERS]
        for n in given.processes:
            base = None
            for kind in kinds:
                with place_for(kind, server, f"of_{uuid.uuid4().hex}") as place:
                    found = measure(kind, place, n, given.seconds, given.claims)
                rate = sum(each.trials / each.seconds for each in found)
                base = base or rate
                times = Counter(number for each in found for number in each.claimed)
                errors = Counter(name for each in found for name in each.errors)
                table.add_row(
                    kind,
                    str(n),
                    f"{rate:.1f}",
                    f"{rate / base:.2f}",
                    f"{1e3 * sum(w.core_s for w in found) / sum(w.trials for w in found):.0f} ms",
                    ", ".join(f"{count} {name}" for name, count in errors.items()) or "0",
                    f"{sum(count > 1 for count in times.values())} of {len(times)}",
                )
    Console(width=110).print(table, highlight=False)


if __name__ == "__main__":
    main()
