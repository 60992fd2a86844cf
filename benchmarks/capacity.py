"""What the parts of a sweep by very many workers cost, in PostgreSQL and beside it.

Question: Which part is full first with 1,000 workers and 100,000 trials?
Command:  python benchmarks/capacity.py
Cost:     about three minutes, and 1 GB of memory

A private PostgreSQL on 127.0.0.1 gets a study of so many finished trials, with four parameters, ten
reports and four attributes each, and of so many running ones. Then one process does what a worker
does, several times. `a call` is its median time, `server` the processor's time that PostgreSQL took
for it, `client` that of the process itself.

read again  what a worker reads each time that it looks at the study: running trials and new ones
first read  what it reads when it starts: all of them
ask         a new trial, four parameters by the sampler, with the finished trials in memory
"""

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
import psycopg
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from optuna.distributions import distribution_to_json
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import get_storage
from postgres import Postgres
from processes import Server, processes_in
from rich.console import Console
from rich.table import Table
from stores import GRACE_S, SPACE, be_quiet

from seqsweep.search.study.store.base import Store
from seqsweep.search.study.store.opening import open_storage

TICKS = os.sysconf("SC_CLK_TCK")
N_CALLS = 20
SAMPLERS = {
    "random": RandomSampler(seed=0),
    "tpe": TPESampler(seed=0, multivariate=True, constant_liar=True),
}
# One row for each number from {first} to {last}; the tables are Optuna's.
FILL = """
INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)
SELECT i, i - 1, 1, '{state}', now(), now() FROM generate_series({first}, {last}) i;
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
SELECT i, name, 2 * random() - 1, '{distribution}'
FROM generate_series({first}, {last}) i, unnest(ARRAY['a', 'b', 'c', 'd']) name;
INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
SELECT i, step, random(), 'FINITE'
FROM generate_series({first}, {last}) i, generate_series(1, 10) step;
INSERT INTO trial_user_attributes (trial_id, key, value_json)
SELECT i, 'seqsweep:' || k, '"0123456789abcdef0123456789abcdef"'
FROM generate_series({first}, {last}) i, generate_series(1, 4) k;
"""
VALUES = """
INSERT INTO trial_values (trial_id, objective, value, value_type)
SELECT i, 0, random(), 'FINITE' FROM generate_series({first}, {last}) i;
"""


class Meter:
    """Fills a table with what calls cost; `pids` gives the processes that serve them."""

    def __init__(self, table: Table, pids: Callable[[], Iterable[int]]) -> None:
        self._table = table
        self._pids = pids

    def row(self, name: str, call: Callable[[int], object], *, n: int = N_CALLS) -> None:
        """Calls `call` with 0, 1, … so many times."""
        times, server, client = [], self._served_s(), time.process_time()
        for number in range(n):
            began = time.perf_counter()
            call(number)
            times.append(time.perf_counter() - began)
        costs = (statistics.median(times), (self._served_s() - server) / n)
        costs += ((time.process_time() - client) / n,)
        self._table.add_row(name, *(f"{cost * 1e3:,.1f} ms" for cost in costs))

    def _served_s(self) -> float:
        """Gives the processor's time of those processes so far."""
        return sum(map(processor_s, self._pids()))


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def fill(url: str, first: int, last: int, state: str) -> None:
    """Adds trials `first` to `last` to the first study."""
    values = {"first": first, "last": last, "state": state}
    values["distribution"] = distribution_to_json(SPACE["a"])
    statements = FILL + (VALUES if state == "COMPLETE" else "")
    with psycopg.connect(url) as connection:
        connection.execute(statements.format(**values))
        connection.execute(
            "SELECT setval('trials_trial_id_seq', (SELECT max(trial_id) FROM trials))"
        )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


@contextmanager
def loaded(url: str) -> Iterator[optuna.Study]:
    # Each trial that begins is counted among those that the sweep is to have
    storage = open_storage(url, grace_period=GRACE_S, total=10**9)
    try:
        yield optuna.load_study(study_name="a", storage=get_storage(storage))
    finally:
        storage.close()


def number_of_trials(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM trials").fetchone()[0]


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def measure(url: str, meter: Meter, n_trials: int, running: Sequence[int]) -> None:
    """Measures a study of so many finished trials; for a larger one it is filled up."""
    with loaded(url) as study:
        gc.collect()
        before = memory_mb()
        meter.row(f"first read, {n_trials:,} trials", lambda _: study.get_trials(False), n=1)
        grown = memory_mb() - before
        print(f"{n_trials:,} trials: {grown:.0f} MB of memory of each worker", flush=True)
        for name, sampler in SAMPLERS.items():
            study.sampler = sampler
            meter.row(f"ask, {name}, {n_trials:,} trials", lambda _: study.ask(SPACE), n=5)
    for n in running:
        last = number_of_trials(url)
        fill(url, last + 1, last + n, "RUNNING")
        with loaded(url) as study:
            study.get_trials(False)
            meter.row(f"read again, {n:,} running", lambda _: study.get_trials(False))
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE trials SET state = 'FAIL' WHERE state = 'RUNNING'")


def measure_steps(url: str, meter: Meter) -> None:
    """Measures the steps of a trial, with few in the study."""
    with loaded(url) as study:
        study.sampler = SAMPLERS["random"]
        storage = study._storage._backend
        trials = []
        meter.row("ask, with four parameters", lambda _: trials.append(study.ask(SPACE)))
        trial = trials[0]
        meter.row("report", lambda step: trial.report(0.5, step), n=10 * N_CALLS)
        meter.row("attribute", lambda i: trial.set_user_attr("key", i), n=10 * N_CALLS)
        meter.row("beat", lambda _: storage.record_heartbeat(trial._trial_id), n=10 * N_CALLS)
        meter.row("look for lost trials", lambda _: look(storage, study), n=10 * N_CALLS)
        meter.row("tell", lambda i: study.tell(trials[i], 0.5))


def look(storage: Store, study: optuna.Study) -> None:
    storage._next_look = 0.0
    storage._get_stale_trial_ids(study._study_id)


def measure_mlflow(server: Server, table: Table, postgres: Postgres, folder: Path) -> None:
    """Measures a run of ten params, 50 points of its curve and its end, as three requests."""
    client = MlflowClient(server.uri)
    experiment = client.create_experiment("a")

    def record(_number: int) -> None:
        run = client.create_run(experiment).info.run_id
        now = int(time.time() * 1e3)
        points = [Metric("loss", 0.5, now, step) for step in range(50)]
        client.log_batch(run, points, [Param(f"p{i}", "0.5") for i in range(10)])
        client.set_terminated(run)

    meter = Meter(table, lambda: [*postgres.pids(), *processes_in(folder)])
    record(0)
    meter.row("MLflow: a run", record)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--running", type=int, nargs="+", default=[10, 100, 1_000])
    given = parser.parse_args()
    be_quiet()
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    table = Table(box=None, pad_edge=False)
    for column in ("", "a call", "server", "client"):
        table.add_column(column, justify="right" if column else "left")
    postgres = Postgres()
    try:
        postgres.start()
        meter = Meter(table, postgres.pids)
        url = postgres.create("studies")
        storage = open_storage(url, grace_period=GRACE_S)
        optuna.create_study(study_name="a", storage=storage)
        storage.close()
        measure_steps(url, meter)
        for size in given.trials:
            fill(url, number_of_trials(url) + 1, size, "COMPLETE")
            measure(url, meter, size, given.running if size == given.trials[0] else ())
        with tempfile.TemporaryDirectory() as name:
            server = Server(Path(name) / "server", postgres.create("mlflow"))
            try:
                server.start()
                measure_mlflow(server, table, postgres, Path(name))
            finally:
                server.kill()
    finally:
        postgres.remove()
    Console(width=100).print(table, highlight=False)


if __name__ == "__main__":
    main()
