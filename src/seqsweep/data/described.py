"""What a run's record says of the data that it reads."""

from __future__ import annotations

import numpy as np

from seqsweep.data.dataset import Dataset
from seqsweep.process.messages import DataInput

MOST_CLASSES = 100  # of which a profile counts the examples one by one


def described(dataset: Dataset) -> tuple[DataInput, ...]:
    """Describes what a training reads: what it trains on, and what it validates on."""
    described = []
    for context, split in (("training", dataset.train), ("validation", dataset.validation)):
        profile = {
            "examples": len(split.y),
            "shape": list(split.x.shape),
            "dtype": str(split.x.dtype),
            "classes": dataset.n_classes,
            "sha256": split.sha256,
        }
        if dataset.n_classes <= MOST_CLASSES:
            counts = np.bincount(split.y, minlength=dataset.n_classes)
            profile["class_counts"] = {str(label): int(n) for label, n in enumerate(counts)}
        described.append(
            DataInput(
                name=dataset.name,
                context=context,
                digest=split.digest,
                source=dataset.source,
                shape=dataset.input_shape,
                dtype=str(split.x.dtype),
                profile=profile,
            )
        )
    return tuple(described)
