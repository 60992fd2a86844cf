"""The options that several commands have."""

from typing import Annotated

import typer

Storage = Annotated[
    str | None,
    typer.Option(
        metavar="PATH_OR_URL",
        help="The store of studies; else mlruns/optuna.db here or in the project's folder.",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="The MLflow store; else MLFLOW_TRACKING_URI, else mlflow.db here or in the project.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
SweepArgument = Annotated[
    str | None,
    typer.Argument(metavar="SWEEP", help="Its name, as default-2, or default for the last."),
]
