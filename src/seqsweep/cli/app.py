"""The program: its commands, and how it ends where something is wrong."""

from __future__ import annotations

import sys

import typer

from seqsweep.cli.best import best
from seqsweep.cli.compare import compare
from seqsweep.cli.doctor import doctor
from seqsweep.cli.proxy import proxy
from seqsweep.cli.status import status
from seqsweep.cli.worker import worker
from seqsweep.errors import UserError
from seqsweep.secrets import keep_out_of_logs

app = typer.Typer(
    name="seqsweep",
    help="Looks at sweeps, and at whether this machine can run them; worker joins one,"
    " proxy serves their store to many.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (status, best, compare, doctor, worker, proxy):
    app.command()(command)


def main() -> None:
    """Runs the command that was typed; a user's mistake ends it with one sentence."""
    keep_out_of_logs()
    try:
        app(prog_name="seqsweep")
    except UserError as error:
        sys.exit(f"error: {error}")
