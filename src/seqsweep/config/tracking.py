"""`tracking`: where runs are recorded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seqsweep.config.values import Flag, NotNegative, Positive, Text, frozen

RegisteredName = Annotated[str, Field(pattern=r"^[^/:]*[^/:\s.][^/:]*$")]


@frozen
class TrackingConfig:
    """Where runs are recorded.

    `uri` null stands for `MLFLOW_TRACKING_URI` and, where that is not set, for an SQLite file
    `mlflow.db` in `dir`. `hidden` are the keys of the config that are recorded nowhere. At its end
    a sweep waits `wait` seconds for a store that is away. Its winner becomes a version of the
    `registered_model`. What a trial takes of the machine is recorded each `system_metrics_every_s`
    seconds, null is never; `pictures` says whether any are drawn for a run.
    """

    name: Literal["mlflow", "none"]
    uri: str | None
    experiment: Text
    dir: Text
    log_model: Flag
    registered_model: RegisteredName | None  # as MLflow takes it
    wait: NotNegative
    system_metrics_every_s: Positive | None
    pictures: Flag
    hidden: list[str]
