"""What a proxy before PostgreSQL takes of its core for a trial, by how many trials run.

Question: How many workers does one `seqsweep proxy` carry, and how many does Optuna's own?
Command:  python benchmarks/proxy.py
Cost:     about two minutes; the proxy, PostgreSQL and the clients share the machine's cores

A private PostgreSQL on 127.0.0.1 gets a study of 1,000 finished trials and of so many that run. The
proxy is one process of Python, so that a core is all it can have; `proxy` is the processor's time
that it takes for a call. Many clients read at once what a worker reads for each report that a
pruner judges, the trials that run, without a pause; they do not unpack it, which is a worker's own
time. With the fewest of them one client then does the steps of a trial.
"""

import argparse
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import optuna
from capacity import fill, processor_s
from optuna.storages import GrpcStorageProxy
from optuna.storages._grpc.auto_generated.api_pb2 import GetTrialsRequest
from postgres import Postgres
from rich.console import Console
from rich.table import Table
from stores import GRACE_S, SPACE, be_quiet, proxy_before

from seqsweep.search.study.store.opening import open_storage

N_FINISHED = 1_000
FEW = 10  # trials that run where the steps of one are measured
N_CALLS = 50
ENDED = optuna.trial.TrialState.COMPLETE
READ = "/optuna.StorageService/GetTrials"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


def study_of(postgres: Postgres, n_running: int) -> str:
    """Makes a database with the study; gives its address."""
    url = postgres.create(f"of_{uuid.uuid4().hex}")
    storage = open_storage(url, grace_period=GRACE_S)
    optuna.create_study(study_name="a", storage=storage)
    storage.close()
    fill(url, 1, N_FINISHED, "COMPLETE")
    fill(url, N_FINISHED + 1, N_FINISHED + n_running, "RUNNING")
    return url


def read_together(place: str, n_running: int, n_clients: int, seconds: float) -> int:
    """Lets so many clients read again and again; gives how often they have."""
    running = range(N_FINISHED + 1, N_FINISHED + n_running + 1)
    request = GetTrialsRequest(
        study_id=1, included_trial_ids=running, trial_id_greater_than=N_FINISHED
    ).SerializeToString()

    def client(_number: int) -> int:
        with grpc.insecure_channel(place, OPTIONS) as channel:
            read, count = channel.unary_unary(READ), 0
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                read(request)
                count += 1
        return count

    with ThreadPoolExecutor(n_clients) as threads:
        return sum(threads.map(client, range(n_clients)))


def steps(place: str) -> dict[str, Callable[[int], object]]:
    """Gives what a worker does for a trial, to be called in this order with 0, 1, …"""
    storage = GrpcStorageProxy(port=int(place.rpartition(":")[2]))
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.load_study(study_name="a", storage=storage, sampler=sampler)
    trials: list[optuna.Trial] = []
    return {
        "ask, with four parameters": lambda _: trials.append(study.ask(SPACE)),
        "report": lambda step: trials[0].report(0.5, step),
        "attribute": lambda i: trials[0].set_user_attr("key", i),
        "look at a trial": lambda i: storage.get_trial(trials[i]._trial_id),
        "tell": lambda i: storage.set_trial_state_values(trials[i]._trial_id, ENDED, [0.5]),
    }


def measure(
    url: str, n_running: int, n_clients: int, seconds: float
) -> Iterator[tuple[str, str, float, float]]:
    """Gives what is called, whose proxy is, calls a second, and seconds of its core for one."""
    for name, is_ours in (("seqsweep", True), ("Optuna", False)):
        with proxy_before(url, is_ours=is_ours) as (place, pid):
            read_together(place, n_running, 1, 0.1)  # the finished trials, which it keeps
            core_s = processor_s(pid)
            count = read_together(place, n_running, n_clients, seconds)
            core_s = (processor_s(pid) - core_s) / count
            yield f"read {n_running:,} running", name, count / seconds, core_s
            if n_running == FEW:
                for step, call in steps(place).items():
                    began, core_s = time.monotonic(), processor_s(pid)
                    for number in range(N_CALLS):
                        call(number)
                    core_s = (processor_s(pid) - core_s) / N_CALLS
                    yield step, name, N_CALLS / (time.monotonic() - began), core_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--running", type=int, nargs="+", default=[FEW, 100, 1_000])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8, help="that each is read")
    given = parser.parse_args()
    be_quiet()
    table = Table(box=None, pad_edge=False)
    for column in ("", "proxy of", "calls/s", "proxy"):
        table.add_column(column, justify="right" if column in ("calls/s", "proxy") else "left")
    postgres = Postgres()
    try:
        postgres.start()
        for n in given.running:
            url = study_of(postgres, n)
            for call, name, rate, core_s in measure(url, n, given.clients, given.seconds):
                table.add_row(call, name, f"{rate:.1f}", f"{1e3 * core_s:.1f} ms")
    finally:
        postgres.remove()
    Console(width=100).print(table, highlight=False)


if __name__ == "__main__":
    main()
