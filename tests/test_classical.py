"""Classical denoisers: how well they denoise, every kind of image, what is missing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from noiseda import classical
from noiseda.errors import OptionError
from tests.conftest import ENVIRONMENT, photo

CLEAN = photo(40, 48).astype(np.float64) / 255
every_method = pytest.mark.parametrize("name", classical.METHODS)


def noisy(sigma: float, seed: int = 0) -> np.ndarray:
    return CLEAN + sigma * np.random.default_rng(seed).normal(size=CLEAN.shape)


def mse(image: np.ndarray) -> float:
    return float(((image - CLEAN) ** 2).mean())


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.3])
def test_estimate(sigma: float) -> None:
    assert classical.estimate_noise(noisy(sigma)) == pytest.approx(sigma, rel=0.1)
    # in units of the whole range, whatever the type
    pixels = np.rint(noisy(sigma).clip(0, 1) * 65535).astype(np.uint16)
    assert classical.estimate_noise(pixels) == pytest.approx(
        classical.estimate_noise(pixels / 65535), rel=1e-6
    )


def test_estimate_of_noise_that_is_alike_in_neighbours() -> None:
    """As demosaicking leaves it: an estimate from adjacent pixels would be a fraction of it."""
    white = np.random.default_rng(1).normal(size=(96, 96, 3))
    shifts = [(rows, columns) for rows in (-1, 0, 1) for columns in (-1, 0, 1)]
    alike = np.mean([np.roll(white, shift, (0, 1)) for shift in shifts], axis=0)
    found = classical.estimate_noise(0.5 + 0.1 * alike)
    assert found == pytest.approx(0.1 * float(np.std(alike)), rel=0.2)


@every_method
def test_denoises(name: str) -> None:
    method, image = classical.METHODS[name], noisy(0.1)
    estimated, told = method(image), method(image, 0.1)
    assert mse(estimated) < 0.3 * mse(image)
    assert mse(estimated) == pytest.approx(mse(told), rel=0.2)
    # told of less noise, it removes less
    assert mse(method(image, 0.03)) > 1.5 * mse(told)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_kinds(dtype: type) -> None:
    peak = 1 if dtype == np.float32 else np.iinfo(dtype).max
    image = (noisy(0.1).clip(0, 1) * peak).astype(dtype)
    before = image.copy()
    restored = classical.nl_means(image, 0.1)
    assert restored.dtype == dtype
    assert restored.shape == image.shape
    assert np.array_equal(image, before)
    assert mse(restored / peak) < 0.3 * mse(image / peak)


@every_method
def test_gray(name: str) -> None:
    method = classical.METHODS[name]
    gray = (255 * noisy(0.1)[:, :, 0].clip(0, 1)).astype(np.uint8)
    restored = method(gray, 0.1)
    assert restored.shape == gray.shape
    assert np.abs(restored - gray.astype(float)).mean() > 3
    # a gray photo stored as colour stays gray and is denoised
    colour = method(np.repeat(gray[:, :, None], 3, axis=2), 0.1)
    assert np.ptp(colour.astype(int), axis=2).max() <= 1
    assert np.abs(colour[:, :, 0] - gray.astype(float)).mean() > 3


@every_method
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7), (8, 20, 3)])
def test_tiny_images(name: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    assert classical.METHODS[name](image, 0.1).shape == shape
    # too small for an estimate: left alone
    if min(shape[:2]) < 8:
        assert np.array_equal(classical.METHODS[name](image), image)


@pytest.mark.parametrize(
    ("image", "sigma", "word"),
    [
        (np.zeros((4, 4, 4)), None, "H×W×3"),
        (np.zeros((0, 4, 3)), None, "at least one pixel"),
        (np.zeros((4, 4, 3), int), None, "int64"),
        (np.full((9, 9), np.nan), None, "not finite"),
        ([[0.5]], None, "list"),
        (np.zeros((9, 9)), -1, "sigma"),
        (np.zeros((9, 9)), float("nan"), "sigma"),
    ],
)
def test_refused(image: np.ndarray, sigma: float | None, word: str) -> None:
    with pytest.raises(OptionError, match=word) as caught:
        classical.nl_means(image, sigma)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("missing", "call"),
    [
        ("bm3d", "bm3d(x, 0.1)"),
        ("skimage.restoration", "nl_means(x, 0.1)"),
        ("skimage.restoration", "estimate_noise(x)"),
        ("pywt", "estimate_noise(x)"),
        ("bm3d", "require('bm3d')"),
        ("pywt", "require('nlm')"),
    ],
)
def test_missing_extra(missing: str, call: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import numpy as np\nfrom noiseda import classical\nx = np.ones((16, 16, 3))\n"
        f"try:\n    classical.{call}\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    assert done.stdout.startswith("OptionError ")
    assert f"{missing}, which is missing" in done.stdout
    assert "pip install 'noiseda[classical]'" in done.stdout
