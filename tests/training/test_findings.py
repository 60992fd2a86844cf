"""What is recorded of a trained model is of the weights that were kept."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix, recall_score

from seqsweep import models
from seqsweep.data import Dataset, Split
from seqsweep.process.messages import Report
from seqsweep.trial import findings as module
from seqsweep.trial.findings import findings
from seqsweep.trial.kept import Trained
from seqsweep.trial.reporting import Recorder
from seqsweep.trial.train import train

N_CLASSES = 4
SETTINGS = [
    "seed=1",
    "tracking=none",
    "devices=cpu",
    "model.n_hidden=8",
    "model.dropout=0.3",
    "optimizer.learning_rate=0.05",
    "training.batch_size=20",
    "training.epochs=4",
    "training.validate_every=0.25",
]


def split(n: int, seed: int, n_classes: int = N_CLASSES) -> Split:
    """Images of noise in which a bright row says the class, but for one label in four."""
    random = np.random.default_rng(seed)
    y = random.integers(0, n_classes, n).astype(np.int32)
    x = random.uniform(0, 0.5, (n, 8, 3)).astype(np.float32)
    x[np.arange(n), y % 8] += 0.5
    wrong = random.random(n) < 0.25
    return Split(x, np.where(wrong, random.integers(0, n_classes, n), y).astype(np.int32))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    # more images to validate on than are evaluated at a time
    return Dataset("bars", split(300, 0), split(1300, 1), split(10, 2), N_CLASSES)


@pytest.fixture(scope="module")
def trained(configured, dataset) -> Trained:
    return train(configured(*SETTINGS), dataset, Recorder())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("job")


@pytest.fixture(scope="module")
def found(trained, dataset, folder) -> Report:
    return findings(trained, dataset, folder, pictures=True)


def said(trained: Trained, dataset: Dataset) -> np.ndarray:
    """What the model that leaves the project says, asked through Keras."""
    portable = models.portable(trained.model)
    return portable.predict(dataset.validation.x, verbose=0).argmax(axis=1)


def test_the_metrics_are_those_of_the_kept_weights(trained, dataset, found):
    values = {point.name: point.value for point in found.points}
    speed = values.pop("samples_per_s")
    assert speed == trained.samples_per_s > 0
    assert list(values) == [
        f"validation/{name}_{label}" for name in ("precision", "recall") for label in range(4)
    ]
    recalls = recall_score(dataset.validation.y, said(trained, dataset), average=None)
    assert [values[f"validation/recall_{label}"] for label in range(4)] == pytest.approx(recalls)


def test_the_confusion_matrix_comes_to_the_objective(trained, dataset, found):
    (table,) = [file for file in found.files if file.is_table]
    assert (table.path.name, table.folder) == ("confusion_matrix.json", "validation")
    read = pd.read_json(table.path, orient="split", dtype={"truth": str})
    assert read["truth"].tolist() == ["0", "1", "2", "3"]
    counts = read[[f"said {label}" for label in range(4)]].to_numpy()
    y = dataset.validation.y
    assert counts.tolist() == confusion_matrix(y, said(trained, dataset)).tolist()
    assert counts.trace() / len(y) == trained.value


def test_the_pictures_are_files_of_the_job(found, folder):
    pictures = [file for file in found.files if not file.is_table]
    names = [str(file.path.relative_to(folder)) for file in pictures]
    assert names == ["validation/confusion_matrix.png", "validation/mistakes.png"]
    assert {file.folder for file in pictures} == {"validation"}
    for file in pictures:
        with Image.open(file.path) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 100


def test_without_pictures_there_is_the_table(trained, dataset, tmp_path):
    report = findings(trained, dataset, tmp_path, pictures=False)
    assert [file.path.name for file in report.files] == ["confusion_matrix.json"]
    assert [p.name for p in tmp_path.rglob("*.png")] == []


def test_there_is_no_sheet_of_mistakes_where_there_are_none(trained, dataset, tmp_path):
    right = said(trained, dataset) == dataset.validation.y
    perfect = Split(dataset.validation.x[right], dataset.validation.y[right])
    easy = Dataset("bars", dataset.train, perfect, dataset.test, N_CLASSES)
    report = findings(trained, easy, tmp_path, pictures=True)
    assert [f.path.name for f in report.files if not f.is_table] == ["confusion_matrix.png"]


def test_of_very_many_classes_only_the_speed_is_told(trained, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_CLASSES", N_CLASSES - 1)
    report = findings(trained, dataset, tmp_path, pictures=True)
    assert [point.name for point in report.points] == ["samples_per_s"]
    assert report.files == ()
    assert list(tmp_path.iterdir()) == []
