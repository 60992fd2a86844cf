"""What a trained model is like on the validation images, for its run's record."""

from __future__ import annotations

import json
from pathlib import Path

from seqsweep.data import Dataset, Split
from seqsweep.process.messages import SPEED, File, Point, Report
from seqsweep.trial.classified import Classified
from seqsweep.trial.kept import Trained

FOLDER = "validation"  # of the files within the run, and what the metrics are grouped by
MOST_CLASSES = 100  # above, neither metrics nor pictures by class are of use to anybody
MOST_MISTAKES = 40


def findings(trained: Trained, dataset: Dataset, folder: Path, *, pictures: bool) -> Report:
    """Gives its speed, and for the kept weights scores by class, confusion and worst mistakes.

    The files go below `folder`.
    """
    speed = Point(SPEED, trained.samples_per_s, 0)
    if dataset.n_classes > MOST_CLASSES:
        return Report((speed,))
    split = dataset.validation
    classified = Classified.of(split.y, trained.evaluate.logits(split))
    folder = folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    files = [File(write_table(classified, folder / "confusion_matrix.json"), FOLDER, is_table=True)]
    if pictures:
        files += [File(path, FOLDER) for path in draw(classified, split, folder)]
    return Report((speed, *points_of(classified)), files=tuple(files))


def points_of(classified: Classified) -> list[Point]:
    """Gives precision and recall by class."""
    scores = {"precision": classified.precision, "recall": classified.recall}
    return [
        Point(f"{FOLDER}/{name}_{label}", float(value), 0)
        for name, values in scores.items()
        for label, value in enumerate(values)
    ]


def write_table(classified: Classified, path: Path) -> Path:
    """Writes the confusion matrix as a table that MLflow shows: a row for each class."""
    labels = [str(label) for label in range(classified.n_classes)]
    rows = [[label, *row] for label, row in zip(labels, classified.confusion.tolist(), strict=True)]
    columns = ["truth", *(f"said {label}" for label in labels)]
    path.write_text(json.dumps({"columns": columns, "data": rows}), encoding="utf-8")
    return path


def draw(classified: Classified, split: Split, folder: Path) -> list[Path]:
    """Draws the confusion matrix and, where there are any, the worst mistakes."""
    from seqsweep.trial.pictures import confusion_picture, mistakes_picture

    drawn = {"confusion_matrix.png": confusion_picture(classified)}
    if len(worst := classified.mistakes(MOST_MISTAKES)):
        drawn["mistakes.png"] = mistakes_picture(classified, split.x, worst)
    for name, picture in drawn.items():
        picture.save(folder / name, compress_level=1)  # half the time, a third more bytes
    return [folder / name for name in drawn]
