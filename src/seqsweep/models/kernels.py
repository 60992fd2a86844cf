"""How the kernels of a recurrent layer start."""

from __future__ import annotations

import keras
import numpy as np


def glorot_kernels(
    features: int, units: int, gates: int, *, seed: int
) -> tuple[keras.Initializer, keras.Initializer]:
    """Gives the initialisers of the kernels of the input and of the last output.

    Together they are Glorot uniform as one [features + units, gates·units] kernel, which is how
    TensorFlow 1's `BasicLSTMCell` drew them.
    """
    limit = (6 / (features + units + gates * units)) ** 0.5
    above, below = (
        keras.initializers.RandomUniform(-limit, limit, seed=int(one))
        for one in np.random.SeedSequence(seed).generate_state(2)
    )
    return above, below
