"""Texture of several photos is told from their noise by what the colours share."""

from __future__ import annotations

import numpy as np
import pytest

from noiseda.measurement import measure
from noiseda.measurement import photo as one_photo
from tests.measurement.conftest import as_photo, correlated, gradient, white


def textured(strength: float, mixing: np.ndarray, count: int = 9) -> list[np.ndarray]:
    """Photos with noise of σ 10 and fine gray texture everywhere, of which every third has none."""
    return [
        as_photo(
            gradient()
            + 10 * white(number) @ mixing.T
            + (number % 3 > 0) * strength * correlated(90 + number)[..., :1]
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("strength", [0.0, 4.0, 8.0])
@pytest.mark.parametrize("shared", [0.0, 0.4])
def test_texture_that_no_patch_is_without(strength: float, shared: float) -> None:
    """It is known by what the colours share in these photos and not in the others; of what noise
    itself shares, as much of it is not known."""
    color = np.eye(3) * (1 - shared) + shared
    photos = textured(strength, np.linalg.cholesky(color))
    noise = measure(photos)
    assert noise.sigma == pytest.approx([np.hypot(10, strength * np.sqrt(shared))] * 3, rel=0.05)
    assert noise.color == pytest.approx(color, abs=0.05)
    assert noise.neighbours == pytest.approx(0, abs=0.05)
    assert noise.scale == pytest.approx((1, 1), abs=0.1)
    # a textured photo alone does not tell
    alone = measure(photos[1])
    assert alone.sigma == pytest.approx([np.hypot(10, strength)] * 3, rel=0.08)


def test_noise_of_another_camera_is_not_taken_for_texture() -> None:
    """Where colours share more than half of the variance, that is not what flat patches have."""
    nearly_gray = np.linalg.cholesky(np.eye(3) * 0.2 + 0.8)
    mixed = measure([*textured(0, np.eye(3), 3), *textured(0, nearly_gray, 6)])
    assert mixed.sigma == pytest.approx([10] * 3, rel=0.05)


def test_photos_whose_colors_cannot_be_compared_do_not_tell() -> None:
    """A channel without any noise has nothing to compare with."""
    mixing = np.linalg.cholesky(np.eye(3) * 0.5 + 0.5)
    photos = textured(0, mixing)
    for photo in photos[:3]:
        photo[..., 2] = 90
    noise = measure(photos)
    assert noise.sigma == pytest.approx([10] * 3, rel=0.06)
    assert noise.color == pytest.approx(mixing @ mixing.T, abs=0.06)


def test_a_photo_alone_is_measured_as_it_is() -> None:
    mixing = np.linalg.cholesky(np.eye(3) * 0.5 + 0.5)
    photo = as_photo(gradient() + white(7) @ mixing.T * [2, 8, 12])
    assert measure(photo).sigma == pytest.approx(one_photo.measure(photo).overall, rel=1e-6)


def test_small_photos_are_not_ranked_by_chance() -> None:
    photos = [as_photo(128 + 10 * correlated(seed, 32, 32)) for seed in range(40)]
    noise = measure(photos)
    assert noise.color == pytest.approx(np.eye(3), abs=0.08)
    assert noise.sigma == pytest.approx([10] * 3, rel=0.1)
