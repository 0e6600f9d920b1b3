"""The side-by-side picture: every image whole, every caption whole, all of one size."""

from __future__ import annotations

import numpy as np
import pytest

from noiseda import images
from noiseda.evaluation.picture import side_by_side
from tests.evaluation.conftest import random_image

CAPTIONS = ["a", "noise-space adapted", "nose"]


@pytest.mark.parametrize("size", [(40, 220), (200, 31), (1, 1)])
def test_nothing_is_cut(size: tuple[int, int]) -> None:
    height, width = size
    rows = [[random_image(*size, seed=3 * row + i) for i in range(3)] for row in range(2)]
    picture = side_by_side(rows, CAPTIONS)
    texts = [images.text(caption) for caption in CAPTIONS]
    column = (picture.shape[1] + 6) // 3
    assert column - 6 == max(width, *(text.shape[1] + 10 for text in texts))
    band = picture.shape[0] - 2 * (height + 6)
    expected = np.full_like(picture, 255)
    for i, text in enumerate(texts):
        left = i * column
        expected[2 : 2 + text.shape[0], left : left + text.shape[1]] = 255 - text[..., None]
        for row in range(2):
            top = band + row * (height + 6)
            expected[top : top + height, left : left + width] = rows[row][i]
    assert max(text.shape[0] for text in texts) + 2 < band
    assert np.array_equal(picture, expected)


def test_no_grid() -> None:
    image, other = random_image(4, 5), random_image(5, 4)
    for rows in ([], [[]], [[image]], [[image, other]], [[image, image], [image]]):
        with pytest.raises(ValueError, match="do not make a grid"):
            side_by_side(rows, ["a", "b"])
