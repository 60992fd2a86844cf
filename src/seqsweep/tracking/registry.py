"""The registry of models: a version for each sweep's winner, one of them the champion."""

from __future__ import annotations

import math

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)

from seqsweep.evaluation import Evaluation

CHAMPION = "champion"  # the alias
# Tags of a version, of which it is compared.
SCORE, VALUE, DATA = "seqsweep.score", "seqsweep.value", "seqsweep.data"
LONGEST_CARD = 5000  # characters that MLflow's tables take
NONE = (ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE))


def register(
    client: MlflowClient, name: str, run_id: str, model_id: str, evaluation: Evaluation
) -> str:
    """Registers a run's model, once; gives a sentence on which version is the champion.

    It is the new one where there was none, or one of less score on the same data.
    """
    version = _version(client, name, run_id, model_id, evaluation)
    champion = _champion(client, name)
    if champion is not None and int(champion.version) == int(version.version):
        return f"models:/{name}@{CHAMPION} is version {version.version} already"
    kept = None if champion is None else _why_kept(champion, evaluation)
    if kept is not None:
        return (
            f"version {version.version} of {name} is no champion: version {champion.version} stays "
            f"that, {kept}"
        )
    client.set_registered_model_alias(name, CHAMPION, version.version)
    said = f"models:/{name}@{CHAMPION} is now version {version.version}"
    if champion is None:
        return said
    before = float(champion.tags[VALUE])
    return f"{said}: {evaluation.score} {evaluation.value:.4f}, before {before:.4f}"


def _version(
    client: MlflowClient, name: str, run_id: str, model_id: str, evaluation: Evaluation
) -> ModelVersion:
    """Gives the version that the run has, a new one where it has none."""
    try:
        client.create_registered_model(name, description="The winners of seqsweep's sweeps.")
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    if found := client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
        return found[0]
    # A store that is no server would look for models:/… in MLflow's global store, not in itself
    place = client.get_logged_model(model_id).artifact_location
    source = f"models:/{model_id}" if client.tracking_uri.startswith("http") else place
    tags = {SCORE: evaluation.score, VALUE: repr(evaluation.value), DATA: evaluation.data}
    return client.create_model_version(
        name,
        source,
        run_id,
        tags=tags,
        description=evaluation.card[:LONGEST_CARD],
        model_id=model_id,
    )


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code not in NONE:
            raise
        return None


def _why_kept(champion: ModelVersion, evaluation: Evaluation) -> str | None:
    """Says why the champion stays one, None where the other is better."""
    if champion.tags.get(SCORE) != evaluation.score:
        return f"as it is not known by its {evaluation.score}"
    if champion.tags.get(DATA) != evaluation.data:
        return (
            "as its score is of other data, whose winners tracking.registered_model=NAME keeps "
            "under a name of their own"
        )
    try:
        value = float(champion.tags.get(VALUE, ""))
    except ValueError:
        value = math.nan
    if math.isnan(value):
        return "as its score is not known"
    if evaluation.is_better_than(value):
        return None
    return f"with {evaluation.score} {value:.4f} against {evaluation.value:.4f}"
