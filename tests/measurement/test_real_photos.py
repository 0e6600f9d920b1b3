"""What is measured of real and benchmark photos, against noisy − clean, which it does not see."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from noiseda.degradations import build
from noiseda.images import to_pixels, to_tensor
from noiseda.measurement import Noise, measure
from noiseda.measurement import photo as one_photo
from tests.measurement.conftest import as_photo, white

Reader = Callable[..., list[np.ndarray]]


def ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort()


def strengths(photos: list[np.ndarray]) -> np.ndarray:
    return np.array([one_photo.measure(photo).overall for photo in photos])


def errors(noisy: list[np.ndarray], clean: list[np.ndarray]) -> list[np.ndarray]:
    return [one.astype(float) - two for one, two in zip(noisy, clean, strict=True)]


def neighbours(noise: Noise) -> np.ndarray:
    """Green, distances 1 to 3, mean of both directions."""
    return ((noise.horizontal + noise.vertical) / 2)[1, :3]


def distances(error: np.ndarray) -> np.ndarray:
    """Correlation of H×W at distances 1 to 3, to the right."""
    power = (error**2).mean()
    return np.array([(error[:, k:] * error[:, :-k]).mean() / power for k in (1, 2, 3)])


def test_renoir(shared: Reader) -> None:
    noisy = shared("renoir/noisy")
    found, noise = strengths(noisy), measure(noisy)
    true = np.array([error.std((0, 1)) for error in errors(noisy, shared("renoir/clean"))])
    assert np.median(found / true, 0) == pytest.approx([1, 1, 1], abs=0.05)
    assert 0.8 < np.quantile(found / true, 0.02) < np.quantile(found / true, 0.98) < 1.2
    assert np.corrcoef(ranks(found.mean(1)), ranks(true.mean(1)))[0, 1] > 0.95
    assert neighbours(noise) == pytest.approx([0.47, 0.15, 0.03], abs=0.03)
    assert np.abs(noise.color - np.eye(3)).max() < 0.3
    # demosaicing makes it coarser in its colour than in its brightness
    seen = errors(noisy, shared("renoir/clean"))
    for weights, least, most in (((1, 1, 1), 0.3, 0.45), ((1, -1, 0), 0.6, 0.75)):
        truth = np.median([distances(error @ weights) for error in seen], 0)
        assert least < truth[0] < most
        assert noise.correlation_of(weights)[4, 5:8] == pytest.approx(truth, abs=0.05)
    # brighter is noisier
    green = np.array(noise.curve)[:10, 1]
    assert (np.diff(green) > 0).all()


def test_polyu(shared: Reader) -> None:
    """These cameras denoise: less is left in flat areas than elsewhere."""
    noisy = shared("polyu/noisy", 4)
    found, noise = strengths(noisy), measure(noisy)
    true = np.array([error.std((0, 1)) for error in errors(noisy, shared("polyu/clean", 4))])
    ratio = np.median(found / true, 0)
    assert (ratio > 0.55).all()
    assert (ratio < 1).all()
    assert np.corrcoef(ranks(found.mean(1)), ranks(true.mean(1)))[0, 1] > 0.5
    assert noise.uneven > 0.7 * noise.photos
    assert neighbours(noise)[0] == pytest.approx(0.67, abs=0.1)


@pytest.mark.parametrize(("sigma", "most"), [(0, 9), (5, 11), (15, 20), (25, 28), (50, 53)])
def test_bsds_with_white_noise(shared: Reader, sigma: float, most: float) -> None:
    """Small photos full of texture, some of which counts as noise while the noise is faint."""
    photos = shared("bsds500/val", 5)
    noisy = [as_photo(p + sigma * white(i, *p.shape[:2])) for i, p in enumerate(photos)]
    found = np.median(strengths(noisy), 0)
    assert (0.95 * sigma < found).all()
    assert (found < most).all()


def test_bsds_with_camera_noise(shared: Reader) -> None:
    camera = build("camera", shot=(5e-3, 5e-3), read=(1e-2, 1e-2))
    clean = [to_tensor(photo)[0] for photo in shared("bsds500/val", 5)]
    source = torch.Generator().manual_seed(0)
    noisy = [camera(image, source) for image in clean]
    true = np.array([(n - c).std((1, 2)).numpy() for n, c in zip(noisy, clean, strict=True)]) * 255
    photos = [to_pixels(image) for image in noisy]
    assert np.median(strengths(photos) / true, 0) == pytest.approx([1.2] * 3, abs=0.2)
