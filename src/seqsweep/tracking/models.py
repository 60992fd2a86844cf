"""Models as files in MLflow's own TensorFlow flavour; this needs TensorFlow."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow.tensorflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

from seqsweep.errors import DataError, first_line

if TYPE_CHECKING:
    import keras

# Named here, since MLflow spends 7 s on guessing them otherwise.
REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy")
KERAS_FILE = Path("data", "model.keras")  # within a model's folder, as MLflow names it


def warm_up() -> None:
    """Lets MLflow read which packages are installed: 0.8 s that each process would pay anew."""
    warn_dependency_requirement_mismatches(list(REQUIREMENTS))


def save_model(model: keras.Model, folder: Path, *, example: np.ndarray) -> None:
    """Saves a plain Keras model with signature and input example; `folder` must not exist.

    Args:
        model: (batch, steps, features) in, (batch, n_classes) out.
        folder: where the model goes.
        example: (n, steps, features), a few inputs.
    """
    # without names: MLflow hands a named input to the model as a dictionary
    inputs = TensorSpec(example.dtype, (-1, *example.shape[1:]))
    outputs = TensorSpec(np.dtype(np.float32), (-1, model.output_shape[-1]))
    mlflow.tensorflow.save_model(
        model,
        str(folder),
        signature=ModelSignature(inputs=Schema([inputs]), outputs=Schema([outputs])),
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
    )


def load_model(folder: Path) -> keras.Model:
    """Loads what `save_model` saved, and nothing that would run code while it is loaded.

    MLflow's own `load_model` would unpickle the custom objects that a folder may hold, and import
    a module by the name that it states.

    Raises:
        DataError: the folder holds no such model, or one that is not plain Keras.
    """
    import keras

    path = folder / KERAS_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist: a model as seqsweep saves it is expected")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what it likes
        why = first_line(error)
        raise DataError(
            f"{path} cannot be loaded ({why}): plain Keras layers are expected"
        ) from error
