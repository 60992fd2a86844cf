"""What the pictures show is read back from their pixels."""

import numpy as np
import pytest
from PIL import Image

from seqsweep.trial.classified import Classified
from seqsweep.trial.pictures import (
    CAPTION,
    CELL,
    COLUMNS,
    MOST_NUMBERS,
    TILE,
    TITLE,
    confusion_picture,
    mistakes_picture,
)


def classified(truth, said, n_classes: int) -> Classified:
    return Classified(np.array(truth), np.array(said), np.full(len(truth), 0.9), n_classes)


def brightness(picture: Image.Image, row: int, column: int) -> float:
    """Of the corner of a cell, where nothing is written."""
    corner = (CELL + column * CELL + 3, TITLE + CELL + row * CELL + 3)
    return sum(picture.getpixel(corner)) / 3


def test_a_cell_is_the_darker_the_more_of_its_row_it_has():
    # the truth 0 is said right 3 of 4 times; 1 is always called 2
    picture = confusion_picture(classified([0, 0, 0, 0, 1, 1], [0, 0, 0, 2, 2, 2], 3))
    seen = np.array([[brightness(picture, i, j) for j in range(3)] for i in range(3)])
    assert seen[1, 2] < seen[0, 0] < seen[0, 2] < seen[0, 1]
    pale = [(0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    assert len({seen[place] for place in pale}) == 1
    assert picture.size[1] == TITLE + 4 * CELL


def test_counts_are_written_only_where_there_are_few_classes():
    def cell_colours(n_classes: int) -> int:
        labels = np.arange(n_classes)
        picture = confusion_picture(classified(labels, labels, n_classes))
        below = picture.crop((0, TITLE, *picture.size))
        return len(below.getcolors(maxcolors=2**16))

    assert cell_colours(MOST_NUMBERS) > 10  # the letters' edges
    assert cell_colours(MOST_NUMBERS + 1) == 3  # pale, deep, and the ground


@pytest.mark.parametrize(("n", "rows"), [(1, 1), (8, 1), (9, 2), (40, 5)])
def test_the_sheet_has_a_tile_for_each_mistake(n, rows):
    images = np.random.default_rng(0).random((60, 28, 28))
    indices = np.arange(60)[::-1][:n]
    picture = mistakes_picture(classified([0] * 60, [1] * 60, 2), images, indices)
    assert picture.size == (COLUMNS * (TILE + 8), rows * (TILE + CAPTION + 8))
    for number, index in enumerate(indices):
        row, column = divmod(number, COLUMNS)
        left, top = column * (TILE + 8) + 4, row * (TILE + CAPTION + 8) + 4
        tile = picture.crop((left, top, left + TILE, top + TILE)).convert("L")
        seen = np.asarray(tile)[1::3, 1::3]  # each pixel is three wide and high
        assert seen.tolist() == (images[index] * 255).astype(np.uint8).tolist()


def test_a_sequence_of_another_form_is_drawn_too():
    images = np.zeros((3, 500, 2), np.float32)
    picture = mistakes_picture(classified([0] * 3, [1] * 3, 2), images, np.array([2]))
    assert picture.size[1] == TILE + CAPTION + 8
