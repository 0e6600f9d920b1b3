"""What a restoration removed as a picture, and the small pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noiseda.report.pictures import residual, smaller


def differing(most: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures that differ by at most `most`."""
    random = np.random.default_rng(seed)
    photo = random.integers(0, 256, (40, 50, 3))
    restored = photo + random.integers(-most, most, photo.shape, endpoint=True)
    return photo.astype(np.uint8), restored.clip(0, 255).astype(np.uint8)


@given(st.integers(0, 255), st.integers(0, 9))
def test_residual(most: int, seed: int) -> None:
    photo, restored = differing(most, seed)
    picture, gain = residual(photo, restored)
    difference = photo.astype(int) - restored
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, (128 + gain * difference).clip(0, 255))
    assert gain in (1, 2, 4, 8, 16)
    if gain > 1:
        assert (np.abs(gain * difference) > 127).mean() <= 0.005
    if gain < 16:
        assert (np.abs(2 * gain * difference) > 127).mean() > 0.005


def test_residual_of_nothing_and_of_all() -> None:
    black, white = np.zeros((1, 3, 3), np.uint8), np.full((1, 3, 3), 255, np.uint8)
    assert (residual(white, white)[0] == 128).all()
    assert (residual(white, black)[0] == 255).all()
    assert (residual(black, white)[0] == 0).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((240, 100), (240, 100)),
        ((481, 241), (160, 80)),
        ((1000, 1500), (142, 214)),
        ((1, 5000), (1, 5000)),
    ],
)
def test_smaller(size: tuple[int, int], expected: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(*size, 1)
    small = smaller(np.repeat(ramp, 3, axis=2).round().astype(np.uint8))
    assert small.shape == (*expected, 3)
    assert abs(small.mean() - ramp.mean()) < 1
