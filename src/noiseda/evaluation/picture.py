"""One picture that shows images side by side, with a caption over each column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noiseda import images

_GAP = 6
_CAPTION = 34
# after the longest caption, so that it is read apart from the next one
_APART = 10
# above the letters, which carry a blank of two pixels with them
_TOP = 2


def side_by_side(rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str]) -> np.ndarray:
    """A grid of images of one size on white.

    Captions all have one size and are never cut: where images are narrower than the longest
    caption, the columns are a space wider than that.

    Args:
        rows: images H×W×3 uint8, all of the same shape; as many in a row as there are captions.
        captions: one for each column, of one line.

    Returns:
        H×W×3 uint8.

    Raises:
        ValueError: no rows, or images or captions that do not make a grid.
    """
    shapes = {image.shape for row in rows for image in row}
    if len(shapes) != 1 or {len(row) for row in rows} != {len(captions)}:
        raise ValueError(
            f"images of {sorted(shapes)} in rows of {[len(row) for row in rows]} do not make a "
            f"grid under {len(captions)} captions"
        )
    (height, width, _) = shapes.pop()
    texts = [images.text(caption) for caption in captions]
    column_width = max(width, *(text.shape[1] + _APART for text in texts))
    band = max(_CAPTION, *(_TOP + text.shape[0] for text in texts))
    size = (band + len(rows) * (height + _GAP), len(texts) * (column_width + _GAP) - _GAP, 3)
    canvas = np.full(size, 255, np.uint8)
    for column, text in enumerate(texts):
        left = column * (column_width + _GAP)
        canvas[_TOP : _TOP + text.shape[0], left : left + text.shape[1]] -= text[..., None]
        for number, row in enumerate(rows):
            top = band + number * (height + _GAP)
            canvas[top : top + height, left : left + width] = row[column]
    return canvas
