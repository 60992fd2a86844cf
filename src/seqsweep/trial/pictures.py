"""Pictures of how a model classified images.

Drawn with Pillow, since it is fast: matplotlib takes 0.1 s for one of them, and longer to import.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from seqsweep.trial.classified import Classified

MOST_NUMBERS = 20  # classes up to which a confusion matrix has its counts written into it
CELL, SMALL_CELL = 44, 8  # pixels of a side
TITLE = 26  # pixels of height
TILE, CAPTION, COLUMNS = 84, 32, 8  # of the sheet of mistakes, in pixels and tiles
PALE, DEEP = np.array([247, 251, 255]), np.array([8, 48, 107])  # both ends of the colours
FONT_SIZE = 13


def confusion_picture(classified: Classified) -> Image.Image:
    """Draws the confusion matrix: a row for each class, coloured by the fraction of the row."""
    counts, n = classified.confusion, classified.n_classes
    is_written = n <= MOST_NUMBERS
    cell = CELL if is_written else SMALL_CELL
    left, top = cell, TITLE + cell
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = (PALE + share[..., None] * (DEEP - PALE)).astype(np.uint8)  # (n, n, 3)
    cells = Image.fromarray(colours).resize((n * cell, n * cell), Image.Resampling.NEAREST)
    picture = Image.new("RGB", (max(left + n * cell, 340), top + n * cell), "white")
    picture.paste(cells, (left, top))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_SIZE)
    draw.text((4, 4), "rows: the truth, columns: what the model said", "black", font)
    if not is_written:
        return picture
    for i in range(n):
        at = (i + 0.5) * cell
        draw.text((left / 2, top + at), str(i), "black", font, anchor="mm")
        draw.text((left + at, top - cell / 2), str(i), "black", font, anchor="mm")
        for j in np.flatnonzero(counts[i]):
            place = (left + (j + 0.5) * cell, top + at)
            colour = "white" if share[i, j] > 0.5 else "black"
            draw.text(place, str(counts[i, j]), colour, font, anchor="mm")
    return picture


def mistakes_picture(
    classified: Classified, images: np.ndarray, indices: np.ndarray
) -> Image.Image:
    """Draws a sheet of these images, each above what the model said and what is true.

    Args:
        classified: of all images.
        images: float in [0, 1], (n, steps, features).
        indices: of those to draw, at least one.
    """
    rows = -(-len(indices) // COLUMNS)
    width, height = TILE + 8, TILE + CAPTION + 8
    picture = Image.new("RGB", (COLUMNS * width, rows * height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_SIZE)
    for number, index in enumerate(indices):
        row, column = divmod(number, COLUMNS)
        left, top = column * width + 4, row * height + 4
        grey = Image.fromarray((images[index] * 255).astype(np.uint8))
        picture.paste(grey.resize((TILE, TILE), Image.Resampling.NEAREST), (left, top))
        said, truth = classified.said[index], classified.truth[index]
        caption = f"said {said}, is {truth}\n{classified.confidence[index]:.0%} sure"
        draw.multiline_text((left, top + TILE + 1), caption, "black", font, spacing=1)
    return picture
