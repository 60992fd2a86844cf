"""`seqsweep doctor`: whether this machine can run sweeps, and what to do where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from seqsweep.cli import places
from seqsweep.cli.options import Json, Storage, TrackingUri
from seqsweep.cli.output import print_json, table

if TYPE_CHECKING:
    from seqsweep.cli.checks import Check

PORT = 5000  # of `mlflow ui`
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}

Data = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The data to look for, as the override data=NAME."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="More overrides, as python src/run.py has them."),
]


def doctor(
    overrides: Overrides = None,
    data: Data = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of mlflow ui.")] = PORT,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Look at Python, packages, TensorFlow, stores, port, data and disk; say what to do."""
    chosen = [*([f"data={data}"] if data else []), *(overrides or [])]
    checks = list(_checks(places.studies(storage), places.runs(tracking_uri), port, chosen))
    if json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        _print(checks)
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


def _checks(studies: str, uri: str, port: int, overrides: list[str]) -> Iterator[Check]:
    from pathlib import Path

    from seqsweep.cli.checks.data import check_data
    from seqsweep.cli.checks.disk import check_disk
    from seqsweep.cli.checks.mlflow import check_port
    from seqsweep.cli.checks.tensorflow import check_tensorflow
    from seqsweep.cli.checks.versions import check_packages, check_python

    yield check_python()
    yield check_packages()
    yield from check_tensorflow()
    yield from _stores(studies, uri)
    yield check_port(port)
    root = places.project()
    if root is not None:
        yield check_data(root, overrides)
    yield check_disk(root or Path.cwd())


def _stores(studies: str, uri: str) -> Iterator[Check]:
    from seqsweep.cli.checks import fail
    from seqsweep.cli.checks.journal import check_journal
    from seqsweep.cli.checks.mlflow import check_schema, check_server
    from seqsweep.cli.checks.sqlite import check_sqlite
    from seqsweep.cli.checks.studies import check_studies
    from seqsweep.errors import ConfigError
    from seqsweep.stores import file_of_runs, journal_file, sqlite_file

    try:
        if (file := journal_file(studies)) is not None:
            yield from check_journal("studies", file)
        elif (file := sqlite_file(studies)) is not None:
            yield from check_sqlite("studies", file)
        else:
            yield check_studies(studies)
    except ConfigError as error:
        yield fail("studies", str(error), "mend the address")
    try:
        if (file := file_of_runs(uri)) is None:
            yield check_server(uri)
            return
    except ConfigError as error:
        yield fail("MLflow store", str(error), "mend the address")
        return
    yield from check_sqlite("MLflow store", file)
    if file.exists():
        yield from check_schema(file)


def _print(checks: list[Check]) -> None:
    from rich.markup import escape

    from seqsweep.secrets import masked
    from seqsweep.terminal import Terminal

    made = table("", "", "")
    made.show_header = False
    for check in checks:
        name, seen, do = (escape(masked(text)) for text in (check.name, check.seen, check.do))
        made.add_row(f"[{STYLES[check.state]}]{check.state}[/]", name, seen)
        if do:
            made.add_row("", "", f"→ {do}")
    Terminal().print(made, highlight=False)
