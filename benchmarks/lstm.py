"""The LSTM's training step on one CPU thread, against Keras' `fit` and PyTorch.

Question: How fast does a trial train, and how far is it from what matrix products alone take?
Command:  python benchmarks/lstm.py --torch-python PYTHON
Cost:     about ten minutes; PYTHON is an interpreter that has PyTorch, best in an environment of
          its own. Without it the columns of PyTorch are empty

An image of 28 rows of 28 numbers is a sequence of 28 steps; 10 classes, Adam, one thread. Each peer
is a process of its own that stays. They are asked in turn, so that what else the machine does hits
all alike; a figure is the median over the rounds.

ours      samples/s of the project's own training step
bfloat16  the same, with model.products=bfloat16
Keras     keras.layers.LSTM in `fit`
PyTorch   torch.nn.LSTM, with Adam as it comes
products  the float32 matrix products of that training alone, in TensorFlow: in each step the four
          gates, and the gradient of what came from the step before; for all steps together the
          gradient of the weights
first     seconds from the start of a trial's process to the end of its first training step
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

PEERS = Path(__file__).parent / "peers"
SIZES = (32, 64, 128, 256)
ROUNDS = 5
ENVIRONMENT = {  # of every peer
    **os.environ,
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
}
OURS = ("ours", "bfloat16", "Keras", "products")
RATIOS = {  # what is over what
    "to Keras": ("ours", "Keras"),
    "to PyTorch": ("ours", "PyTorch"),
    "to products": ("ours", "products"),
    "bfloat16 to PyTorch": ("bfloat16", "PyTorch"),
}


class Peer:
    """A program that trains as it is told: a line of n_hidden, batch_size and steps each time."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read()  # it is ready

    def seconds(self, shape: tuple[int, int], n_steps: int) -> float:
        """Trains so many steps and gives the time."""
        self._process.stdin.write(f"{shape[0]} {shape[1]} {n_steps}\n")
        self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"error: {' '.join(self._command)} ended with code {self._process.wait()}")
        return line

    def end(self) -> None:
        """Ends the program."""
        self._process.stdin.close()
        self._process.wait()


def rates(peers: dict[str, Peer], shape: tuple[int, int], seconds: float) -> dict[str, float]:
    """Gives the samples/s of each peer, from rounds of about so many seconds each."""
    n_steps = {name: _steps_in(peer, shape, seconds) for name, peer in peers.items()}
    times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(ROUNDS):
        for name, peer in peers.items():
            times[name].append(peer.seconds(shape, n_steps[name]) / n_steps[name])
    return {name: shape[1] / statistics.median(some) for name, some in times.items()}


def _steps_in(peer: Peer, shape: tuple[int, int], seconds: float) -> int:
    peer.seconds(shape, 2)  # traces, compiles
    n_steps = 4
    while (taken := peer.seconds(shape, n_steps)) < seconds / 2:  # a call may cost more than a step
        n_steps *= 2
    return max(2, round(n_steps * seconds / taken))


def first_step(shape: tuple[int, int]) -> float:
    """Gives the seconds from a trial's fork to its first step, the median of three."""
    command = [sys.executable, str(PEERS / "first_step.py"), *map(str, shape)]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"error: {' '.join(command)} failed:\n{ended.stderr}")
    return statistics.median(map(float, ended.stdout.split()))


def ratio(row: dict[str, float], over: str, under: str) -> float | None:
    return row[over] / row[under] if over in row and under in row else None


def shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def print_table(rows: dict[tuple[int, int], dict[str, float]]) -> None:
    table = Table(title="samples/s of training on one thread", box=None, pad_edge=False)
    names = [*OURS, "PyTorch"]
    for column in ("", *names, *RATIOS, "first"):
        table.add_column(column, justify="right")
    for shape, row in rows.items():
        table.add_row(
            f"{shape[0]}x{shape[1]}",
            *(shown(row.get(name), 0) for name in names),
            *(shown(ratio(row, *pair), 2) for pair in RATIOS.values()),
            f"{row['first']:.2f} s",
        )
    for what, summary in (("geometric mean", statistics.geometric_mean), ("least", min)):
        figures = [
            [r for row in rows.values() if (r := ratio(row, *pair)) is not None]
            for pair in RATIOS.values()
        ]
        cells = (shown(summary(some) if some else None, 2) for some in figures)
        table.add_row(what, *("" for _ in names), *cells, "")
    Console(width=None if sys.stdout.isatty() else 140).print(table, highlight=False)


def read_shape(text: str) -> tuple[int, int]:
    """Reads n_hidden x batch_size, as 128x32."""
    n_hidden, batch_size = map(int, text.split("x"))
    if min(n_hidden, batch_size) < 1:
        raise ValueError(text)
    return n_hidden, batch_size


def measure(
    peers: dict[str, Peer], shapes: Iterable[tuple[int, int]], seconds: float
) -> dict[tuple[int, int], dict[str, float]]:
    rows = {}
    for shape in shapes:
        rows[shape] = {**rates(peers, shape, seconds), "first": first_step(shape)}
        print(f"{shape[0]}x{shape[1]} is measured", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch-python", help="an interpreter that has PyTorch")
    parser.add_argument(
        "--shapes",
        type=read_shape,
        nargs="+",
        default=[(n, batch) for n in SIZES for batch in SIZES],
        help="n_hidden x batch_size, as 128x32",
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="of each of five rounds")
    given = parser.parse_args()

    peers = {name: Peer(sys.executable, str(PEERS / "lstm_keras.py"), name) for name in OURS}
    if given.torch_python:
        peers["PyTorch"] = Peer(given.torch_python, str(PEERS / "lstm_torch.py"))
    try:
        rows = measure(peers, given.shapes, given.seconds)
    finally:
        for peer in peers.values():
            peer.end()
    print_table(rows)


if __name__ == "__main__":
    main()
