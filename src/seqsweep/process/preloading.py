"""The forkserver's imports and calls, done once for all trials.

`multiprocessing` can do them itself, but before Python 3.12.8 it looks for modules in the current
folder instead of the program's (https://github.com/python/cpython/issues/117378). It passes over
those that it does not find, dies of any other error, and leaves what they print on the screen.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seqsweep.errors import first_line

ORDER = "SEQSWEEP_PRELOAD"  # the variable by which the forkserver hears of it


def order(names: Iterable[str], config: Mapping[str, Any], log: Path) -> None:
    """Names what a forkserver that starts from now on imports; call it in the worker.

    A name `module:function` has the function called with the config. What they print goes into the
    file `log`, which is made only where they do.
    """
    names = [*names]
    wanted = config if any(":" in name for name in names) else None
    ordered = {"path": sys.path, "names": names, "config": wanted, "log": str(log)}
    os.environ[ORDER] = json.dumps(ordered, default=str)


def obey() -> None:
    """Does what was ordered; what fails is told of, and left to the trials."""
    text = os.environ.pop(ORDER, None)  # trials and what they start need not know
    if text is None:
        return
    ordered = json.loads(text)
    sys.path[:] = ordered["path"]
    failed = []
    with _output_to(Path(ordered["log"])):
        for name in ordered["names"]:
            module, _, function = name.partition(":")
            try:
                imported = importlib.import_module(module)
                if function:
                    getattr(imported, function)(OmegaConf.create(ordered["config"]))
            except (Exception, SystemExit) as error:
                verb = "call" if function else "import"
                failed.append(f"{verb} {name}: {type(error).__name__}: {first_line(error)}")
    for line in failed:
        print(f"hydra.sweeper.preload cannot {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Sends stdout and stderr, those of C++ libraries too, into a file; none where it is empty."""
    with path.open("a") as file:
        kept = {number: os.dup(number) for number in (1, 2)}
        for number in kept:
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in kept.items():
                os.dup2(descriptor, number)
                os.close(descriptor)
    if path.stat().st_size == 0:
        path.unlink()
