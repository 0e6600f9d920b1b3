"""Pixels through JPEG and words as pixels, without a file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from noiseda import images
from tests.conftest import photo


@pytest.mark.parametrize(("quality", "subsampling"), [(30, 2), (75, 2), (89, 2), (90, 0), (100, 0)])
def test_jpeg_loses_what_another_encoder_loses(quality: int, subsampling: int) -> None:
    pixels = photo(61, 50)
    before = pixels.copy()
    result = images.through_jpeg(pixels, quality)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    assert np.array_equal(pixels, before)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    expected = np.asarray(Image.open(file)).astype(int)
    # decoders round and interpolate colour differently, by far less than what is lost
    loss = np.abs(expected - pixels).mean()
    assert np.abs(result - expected).mean() < 0.1 * loss + 0.05


def test_views_are_read_as_they_look() -> None:
    pixels = photo(40, 30)
    for view in (pixels[::-1], pixels.transpose(1, 0, 2), pixels[3:, 4:]):
        assert np.array_equal(
            images.through_jpeg(view, 80), images.through_jpeg(view.copy(order="C"), 80)
        )


def test_words_stand_on_one_line() -> None:
    low, tall = images.text("nose"), images.text("lose")
    assert low.shape[0] == tall.shape[0]
    # the letters have one size whatever stands beside them
    assert low.any(axis=1).argmax() > tall.any(axis=1).argmax()
    assert np.array_equal(low[:, -8:], tall[:, -8:])
    longer = images.text("nose and mouth")
    assert longer.shape[1] > 2 * low.shape[1]
    assert images.text("a<b").shape[1] > images.text("ab").shape[1]
