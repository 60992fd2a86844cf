"""Prints how long three trials take from their fork to the end of their first training step.

As in a sweep, TensorFlow is imported and the data loaded before the fork; of all else the trial
makes its own.
"""

import os
import sys
import time
from multiprocessing import Pipe

from lstm_keras import ours

import seqsweep.trial.preload  # noqa: F401

N_TRIALS = 3


def first_step(n_hidden: int, batch_size: int, start: float) -> float:
    ours(n_hidden, batch_size)(1)
    return time.perf_counter() - start


def main() -> None:
    shape = int(sys.argv[1]), int(sys.argv[2])
    for _ in range(N_TRIALS):
        theirs, mine = Pipe()
        start = time.perf_counter()  # one clock for all processes
        if os.fork() == 0:
            mine.send(first_step(*shape, start))
            os._exit(0)
        print(theirs.recv(), flush=True)
        os.wait()


if __name__ == "__main__":
    main()
