"""One picture that shows images side by side, with a caption over each column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noiseda.images.library import vips

_GAP = 6
_CAPTION = 34


def side_by_side(rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str]) -> np.ndarray:
    """A grid of images of one size on white.

    Args:
        rows: images H×W×3 uint8, all of the same shape; as many in a row as there are captions.
        captions: one for each column.

    Returns:
        H×W×3 uint8.
    """
    height, width = rows[0][0].shape[:2]
    columns = len(captions)
    total = (_CAPTION + len(rows) * (height + _GAP), columns * (width + _GAP) - _GAP, 3)
    canvas = np.full(total, 255, np.uint8)
    for column, caption in enumerate(captions):
        left = column * (width + _GAP)
        text = _text(caption, width, _CAPTION - 8)
        canvas[4 : 4 + text.shape[0], left : left + text.shape[1]] = text[..., None]
    for number, row in enumerate(rows):
        top = _CAPTION + number * (height + _GAP)
        for column, image in enumerate(row):
            left = column * (width + _GAP)
            canvas[top : top + height, left : left + width] = image
    return canvas


def _text(caption: str, width: int, height: int) -> np.ndarray:
    """Black on white, at most width×height pixels."""
    image = vips().Image.text(caption, font="sans 14", dpi=72)
    return (255 - image.numpy())[:height, :width]
