"""`seqsweep proxy`: a store of studies for workers without connections of their own to it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from seqsweep.cli.output import say


def proxy(
    storage: Annotated[
        str, typer.Option(metavar="PATH_OR_URL", help="The store, a database or a file of SQLite.")
    ],
    host: Annotated[
        str, typer.Option(help="The address to listen at; whoever reaches it may write.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 13000,
) -> None:
    """Serve a store of studies to many workers, until Ctrl-C: hydra.sweeper.storage=grpc://…."""
    from threading import Event

    from seqsweep.search.study.store.opening import with_grpc
    from seqsweep.search.study.study import silence_optuna
    from seqsweep.signals import handled_by

    silence_optuna()
    served, ended = with_grpc("serving").served, Event()
    with handled_by(ended.set), served(storage, host, port) as address:
        say(f"serves {storage} as hydra.sweeper.storage={address}")
        ended.wait()
    sys.stdout.flush()
    os._exit(0)  # Python would wait for the threads of calls that hang in the database
