"""`seqsweep worker`: another worker for a sweep that runs."""

from __future__ import annotations

from typing import Annotated

import typer

from seqsweep.cli.output import say


def worker(
    storage: Annotated[
        str, typer.Option(metavar="PATH_OR_URL", help="The store that holds the study.")
    ],
    study: Annotated[str, typer.Option(metavar="NAME", help="Its name, as default-2.")],
) -> None:
    """Run trials of a sweep that was started with a launcher, here, until it ends."""
    from seqsweep.outcome import EXIT_INTERRUPTED, INTERRUPTED
    from seqsweep.search.workers.joining import join

    stop = join(storage, study)
    say(f"ended by {stop.field}: {stop.says}")
    if stop.says == INTERRUPTED:
        raise typer.Exit(EXIT_INTERRUPTED)
