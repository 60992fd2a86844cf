"""A data set in MLflow's own words."""

from __future__ import annotations

import json

import numpy as np
from mlflow.data.schema import TensorDatasetSchema
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.types import Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from seqsweep.process.messages import DataInput


def dataset_input(data: DataInput) -> DatasetInput:
    """Gives what `mlflow.log_input` makes of a NumPy data set with labels."""
    examples = TensorSpec(np.dtype(data.dtype), (-1, *data.shape))
    labels = TensorSpec(np.dtype(np.int32), (-1,))
    schema = TensorDatasetSchema(features=Schema([examples]), targets=Schema([labels]))
    dataset = Dataset(
        name=data.name,
        digest=data.digest,
        source_type="local",
        source=json.dumps({"uri": data.source}),
        schema=json.dumps(schema.to_dict()),
        profile=json.dumps(data.profile),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, data.context)])
