from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from noiseda import images

DATA = Path(os.environ.get("NOISEDA_DATA", Path(__file__).parents[3] / "shared/data"))

#: correlation at distances (rows, columns): even, and an autocorrelation
WIDTH = 1.2
TRUE = np.array([[np.exp(-(y**2 + x**2) / (4 * WIDTH**2)) for x in range(5)] for y in range(5)])


def gradient(height: int = 256, width: int = 256) -> np.ndarray:
    """A smooth image: H×W×3 in units of 1/255."""
    across, down = np.linspace(0, 1, width), np.linspace(0, 1, height)[:, None]
    planes = [70 + 100 * across + 0 * down, 80 + 90 * down + 0 * across, 190 - 90 * across * down]
    return np.stack(planes, -1)


def white(seed: int, height: int = 256, width: int = 256) -> np.ndarray:
    """H×W×3 white noise of unit variance."""
    return np.random.default_rng(seed).normal(size=(height, width, 3))


def correlated(seed: int, height: int = 256, width: int = 256) -> np.ndarray:
    """H×W×3 noise of unit variance with the correlation `TRUE`: white noise through a Gaussian."""
    tap = np.exp(-(np.arange(-6, 7) ** 2) / (2 * WIDTH**2))
    tap /= np.linalg.norm(tap)
    noise = white(seed, height + 12, width + 12)
    for axis in (0, 1):
        noise = np.apply_along_axis(lambda line: np.convolve(line, tap, "valid"), axis, noise)
    return noise


def as_photo(values: np.ndarray) -> np.ndarray:
    """Values in units of 1/255 to pixels."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def shared() -> Callable[..., list[np.ndarray]]:
    """Photos of a folder of the shared data: `shared("renoir/noisy", every)`."""

    def read(folder: str, every: int = 1) -> list[np.ndarray]:
        if not (DATA / folder).is_dir():
            pytest.skip(f"needs photos in {DATA / folder}")
        return [images.read_rgb8(path) for path in images.list_images(DATA / folder)[::every]]

    return read
