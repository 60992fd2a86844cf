"""The memory of a sweep's own processes over many trials, which each train in one that ends.

Claim:    over 200 trials the worker grows by less than 20 MB, and so does the forkserver.
Command:  python benchmarks/memory.py
Cost:     five minutes on two CPU cores

The sweep is `python src/run.py -m sweep=tiny` with as many trials, MLflow on, in a temporary
folder; overrides go to it. The first trials fill caches and load code, so growth is counted from
the tenth to the last.

worker      composes, asks Optuna, talks to the trials and to MLflow
forkserver  has TensorFlow imported, and forks the trials

rss        all pages that the process has in memory, those of libraries' files included
anonymous  those of them that are no file's: the heap. Neither changes with how many forks share it
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from processes import clean_environment
from rich.console import Console
from rich.table import Table

RUN = Path(__file__).parent.parent / "src" / "run.py"
ENDED = re.compile(r"\[ *(\d+)/\d+\] trial")  # a line of the sweep's own, after each trial
KINDS = {"rss": "Rss", "anonymous": "Anonymous"}
# by process and kind
Memory = dict[tuple[str, str], float]


def sweep(n_trials: int, at: Sequence[int], overrides: Sequence[str]) -> dict[int, Memory]:
    """Runs the sweep; gives the memory once each number of trials in `at` has ended."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(RUN), "-m", "sweep=tiny", f"root={folder}"]
        command += [f"hydra.sweeper.n_trials={n_trials}", *overrides]
        seen, printed = {}, []
        with subprocess.Popen(
            command,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout:
                printed.append(line)
                ended = ENDED.match(line)
                if ended and int(ended[1]) in at:
                    seen[int(ended[1])] = memory(process.pid)
    if process.returncode:
        sys.exit(f"{''.join(printed)}\nerror: the sweep ended with exit code {process.returncode}")
    return seen


def memory(worker: int) -> Memory:
    """Gives the megabytes of the worker and of the forkserver that it has started."""
    processes = {"worker": worker, "forkserver": forkserver_of(worker)}
    return {
        (name, kind): megabytes(pid, field)
        for name, pid in processes.items()
        for kind, field in KINDS.items()
    }


def forkserver_of(worker: int) -> int:
    for of_thread in Path(f"/proc/{worker}/task").glob("*/children"):
        for child in of_thread.read_text().split():
            if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    sys.exit(f"error: the sweep's process {worker} has no forkserver among its children")


def megabytes(pid: int, field: str) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{field}: +(\d+) kB$", text, re.MULTILINE)[1]) / 1024


def print_table(seen: dict[int, Memory]) -> float:
    """Gives the largest growth."""
    first, *_, last = seen
    table = Table(title=f"MB after so many of {last} trials", box=None, pad_edge=False)
    for column in ("", "", *map(str, seen), "growth"):
        table.add_column(column, justify="right" if column else "left")
    growths = {key: seen[last][key] - seen[first][key] for key in seen[first]}
    for key, growth in growths.items():
        table.add_row(*key, *(f"{some[key]:.1f}" for some in seen.values()), f"{growth:+.1f}")
    Console(width=100).print(table, highlight=False)
    return max(growths.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--from", type=int, default=10, dest="first", help="trials not counted")
    parser.add_argument("--limit-mb", type=float, default=20, help="of growth, else exit code 1")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides")
    given = parser.parse_args()
    if given.first >= given.trials:
        parser.error(f"--from {given.first} leaves none of --trials {given.trials}")
    between = (given.first + (given.trials - given.first) * part // 4 for part in range(5))
    growth = print_table(sweep(given.trials, list(between), given.overrides))
    if growth > given.limit_mb:
        sys.exit(f"error: it grew by {growth:.1f} MB, more than {given.limit_mb:g} MB")


if __name__ == "__main__":
    main()
