"""A model card says what a model was trained with, and no secret of it."""

from types import SimpleNamespace

import numpy as np

from seqsweep.data.dataset import Dataset, Split
from seqsweep.trial.card import evaluation_of
from seqsweep.trial.kept import Scores

OWN = {"width": 3, "note": "a|b  c", "url": "https://me:hunter22@host/w", "api_key": "k3y-of-mine"}


def test_the_card_holds_the_keys_of_a_model_of_ones_own_without_secrets_as_cells(configured):
    words = [f"+model.{key}='{value}'" for key, value in OWN.items()]
    config = configured("model=function", "model._target_=x:make", *words)
    part = Split(np.zeros((4, 3, 2), np.float32), np.arange(4, dtype=np.int32))
    dataset = Dataset("stripes", part, part, part, n_classes=4)
    model = SimpleNamespace(count_params=lambda: 1234)
    card = evaluation_of(config, dataset, model, Scores(0.5, 0.75)).card
    rows = [line for line in card.splitlines() if line.startswith("| model.")]
    assert rows == [
        "| model.name | function |",
        "| model._target_ | x:make |",
        "| model.width | 3 |",
        r"| model.note | a\|b c |",
        "| model.url | https://me:***@host/w |",
        "| model.api_key | *** |",
    ]
    assert "hunter22" not in card
    assert "1,234" in card
