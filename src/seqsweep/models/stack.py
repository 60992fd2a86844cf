"""Recurrent layers one on the other."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from seqsweep.config import GruConfig, LstmConfig
from seqsweep.models.both_ways import BothWays


def make_stack(
    make: Callable[..., keras.layers.Layer],
    config: LstmConfig | GruConfig,
    *,
    features: int,
    seed: int,
) -> list[keras.layers.Layer]:
    """Gives `n_layers` layers, the last of which gives its last output alone.

    With `bidirectional` that is the output of each of its two directions at its own end. `make`
    gives one layer for `features`, `seed`, `return_sequences` and `go_backwards`.
    """
    seeds = iter(seeds_from(seed, 2 * config.n_layers))
    width = 2 * config.n_hidden if config.bidirectional else config.n_hidden
    layers = []
    for number in range(config.n_layers):
        shared = {
            "features": width if number else features,
            "return_sequences": number < config.n_layers - 1,
        }
        layer = make(seed=next(seeds), go_backwards=False, **shared)
        if config.bidirectional:
            layer = BothWays(layer, make(seed=next(seeds), go_backwards=True, **shared))
        layers.append(layer)
    return layers


def seeds_from(first: int, count: int) -> list[int]:
    """Gives `count` seeds, of which `first` is the first; a larger count begins with the same."""
    others = np.random.SeedSequence(first, spawn_key=(0,)).generate_state(count - 1)
    return [first, *map(int, others)]
