"""The model card of a sweep's winner."""

from __future__ import annotations

import dataclasses
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from seqsweep.config import Config, keys_of
from seqsweep.data import Dataset
from seqsweep.evaluation import Evaluation
from seqsweep.process.messages import HIGH, LOW
from seqsweep.secrets import masked_values
from seqsweep.trial.kept import Scores

if TYPE_CHECKING:
    import keras

CARD = """\
A classifier of sequences of {steps} steps and {features} features into {n_classes} classes.

**Test accuracy {accuracy:.4f}**, 95% interval {low:.4f} to {high:.4f} (Wilson's), over {n_test:,}
images that no trial has seen, looked at once; mean cross-entropy {loss:.4f} nats.

| | |
|---|---|
{rows}

Trained on {n_train:,} images of `{data}`; {n_validation:,} more chose among trials. On images of
another size, scale or origin its probabilities mean nothing.

```python
import mlflow

model = mlflow.pyfunc.load_model("{uri}")
# images: float32 in [0, 1], (n, {steps}, {features}); probabilities: (n, {n_classes})
probabilities = model.predict(images)
```

`mlflow models serve -m {uri} --env-manager local` answers `/invocations` with the same, for
`{{"inputs": [...]}}`.

Made by seqsweep {version} with TensorFlow {tensorflow} and Keras {keras}.
"""


def evaluation_of(
    config: Config, dataset: Dataset, model: keras.Model, scores: Scores
) -> Evaluation:
    """Gives the test accuracy with the digest of the test images, and the card."""
    tested = scores.tested(len(dataset.test.y))
    steps, features = dataset.input_shape
    name = config.tracking.registered_model
    rows: dict[str, Any] = {
        **{f"model.{key}": value for key, value in keys_of(config.model).items()},
        **{f"optimizer.{key}": v for key, v in dataclasses.asdict(config.optimizer).items()},
        "training.batch_size": config.training.batch_size,
        "seed": config.seed,
        "parameters in all": f"{model.count_params():,}",
    }
    card = CARD.format(
        steps=steps,
        features=features,
        n_classes=dataset.n_classes,
        accuracy=scores.accuracy,
        low=tested[f"test_accuracy{LOW}"],
        high=tested[f"test_accuracy{HIGH}"],
        loss=scores.loss,
        n_test=len(dataset.test.y),
        n_train=len(dataset.train.y),
        n_validation=len(dataset.validation.y),
        data=dataset.name,
        rows="\n".join(f"| {_cell(k)} | {_cell(v)} |" for k, v in masked_values(rows).items()),
        uri=f"models:/{name}@champion" if name else "models:/…",
        version=version("seqsweep"),
        tensorflow=version("tensorflow"),
        keras=version("keras"),
    )
    return Evaluation(
        "test_accuracy",
        scores.accuracy,
        higher_is_better=True,
        data=dataset.test.digest,
        card=card,
    )


def _cell(value: Any) -> str:
    """Writes a value as a cell of a Markdown table."""
    return " ".join(str(value).split()).replace("|", r"\|")
