"""What is measured of known noise on known images."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from noiseda.degradations import build
from noiseda.errors import DataError
from noiseda.images import to_pixels
from noiseda.measurement import matched_options, measure
from tests.measurement.conftest import TRUE, as_photo, correlated, gradient, white


@pytest.mark.parametrize("sigma", [3.0, 10.0, 30.0])
def test_white_noise(sigma: float) -> None:
    noise = measure(as_photo(gradient() + sigma * white(1)))
    assert noise.sigma == pytest.approx([np.hypot(sigma, 0.29)] * 3, rel=0.1)
    assert noise.overall == pytest.approx(sigma, rel=0.05)
    assert np.array(noise.curve) == pytest.approx(sigma, rel=0.2)
    assert np.abs(noise.horizontal).max() < 0.05
    assert np.abs(noise.vertical).max() < 0.05
    assert noise.color == pytest.approx(np.eye(3), abs=0.05)
    assert noise.uneven == 0


def test_correlated_noise() -> None:
    photos = [as_photo(gradient() + 8 * correlated(seed)) for seed in range(4)]
    noise = measure(photos)
    assert noise.sigma == pytest.approx([8] * 3, rel=0.1)
    table = np.array(noise.correlation)[range(3), range(3)]
    # all quadrants: even in both directions
    for flipped in (table, table[:, ::-1], table[:, :, ::-1]):
        assert flipped[:, 4:, 4:] == pytest.approx(np.stack([TRUE] * 3), abs=0.06)


def test_correlation_has_a_direction() -> None:
    noise = white(2, 256, 257)
    photo = as_photo(gradient() + 8 * (noise[:, 1:] + noise[:, :-1]) / np.sqrt(2))
    found = measure(photo)
    assert found.horizontal[:, 0] == pytest.approx([0.5] * 3, abs=0.05)
    assert np.abs(found.vertical).max() < 0.05


def test_colors() -> None:
    mixing = np.linalg.cholesky([[1, 0.6, 0.3], [0.6, 1, 0.1], [0.3, 0.1, 1]])
    photo = as_photo(gradient() + white(3) @ mixing.T * [4, 8, 12])
    noise = measure(photo)
    assert noise.sigma == pytest.approx([4, 8, 12], rel=0.1)
    assert noise.color == pytest.approx(mixing @ mixing.T, abs=0.06)


def test_colors_of_neighbours() -> None:
    """Red is what green is a row above and two columns to the left."""
    drawn = white(4, 257, 258)
    drawn[1:, 2:, 0] = (drawn[1:, 2:, 0] + drawn[:-1, :-2, 1]) / np.sqrt(2)
    noise = measure(as_photo(gradient() + 8 * drawn[1:, 2:]))
    expected = np.zeros((3, 3, 9, 9))
    expected[range(3), range(3), 4, 4] = 1
    expected[0, 1, 3, 2] = expected[1, 0, 5, 6] = np.sqrt(0.5)
    assert np.array(noise.correlation) == pytest.approx(expected, abs=0.1)
    # and back: drawn, it points the same way
    drawing = build("matched", **{**matched_options(noise), "scale": (1, 1)})
    gray = torch.full((1, 3, 256, 256), 0.5)
    drawn_again = to_pixels(drawing(gray, torch.Generator().manual_seed(0)))
    assert np.array(measure(drawn_again).correlation) == pytest.approx(expected, abs=0.1)


def test_colors_of_few_patches() -> None:
    """Between colours only the same pixel is known; the rest follows what is within them."""
    common = correlated(5)[:16, :16]
    photo = as_photo(128 + 8 * (common.mean(2, keepdims=True) * np.sqrt(3) + 0.1 * common))
    noise = measure(photo)
    assert noise.color.min() > 0.8
    options = {**matched_options(noise), "scale": (1, 1), "clamp": False}
    gray = torch.full((1, 3, 256, 256), 0.5)
    drawn = (build("matched", **options)(gray, torch.Generator().manual_seed(0)) - gray)[0]
    assert np.corrcoef(drawn.reshape(3, -1).numpy()) == pytest.approx(noise.color, abs=0.1)


def test_a_difference_without_noise_has_no_correlation() -> None:
    gray = white(6)[..., :1].repeat(3, 2)
    noise = measure(as_photo(128 + 8 * gray))
    assert noise.correlation_of((1, 1, 1))[4, 4] == pytest.approx(1)
    assert np.abs(noise.correlation_of((1, -1, 0))).max() == 0


def test_sigma_follows_the_brightness() -> None:
    clean = gradient(384, 384)
    photo = as_photo(clean + (2 + clean / 20) * white(4, 384, 384))
    noise = measure(photo)
    for channel in range(3):
        low, high = noise.seen[channel]
        for brightness, sigma in zip(noise.brightness, noise.curve, strict=True):
            if low <= brightness <= high:
                assert sigma[channel] == pytest.approx(2 + 255 * brightness / 20, rel=0.12)


def test_no_noise() -> None:
    smooth = gradient() / 255
    exact = measure(smooth.astype(np.float32))
    assert exact.overall == 0
    assert np.array(exact.curve).max() == 0
    assert np.array_equal(exact.color, np.eye(3))
    # rounding to 8 bits is a noise of 0.29
    assert measure(as_photo(gradient())).overall < 0.4
    assert measure(np.full((64, 64, 3), 255, np.uint8)).overall == 0


def test_texture_is_not_noise() -> None:
    """Half of the photo is texture, five times as strong as the noise."""
    texture = gradient(256, 512)
    stripes = 40 * np.sign(np.sin(np.arange(256) / 1.7) * np.sin(np.arange(256)[:, None] / 2.3))
    texture[:, 256:] = texture[:, :256] + stripes[..., None]
    noise = measure(as_photo(texture + 8 * white(5, 256, 512)))
    assert noise.sigma == pytest.approx([8] * 3, rel=0.1)
    assert np.abs(noise.horizontal[:, 0]).max() < 0.08


def test_a_photo_without_flat_areas_is_reported() -> None:
    # texture whose contrast differs from place to place, as that of real scenes does
    contrast = 2 ** np.random.default_rng(0).uniform(1, 5, (32, 32))
    texture = np.kron(contrast, np.ones((16, 16)))[..., None] * correlated(6, 512, 512)[..., :1]
    textured = as_photo(128 + texture + white(6, 512, 512))
    assert measure(textured).uneven == 1
    # beside photos that have flat areas it does not count
    plain = [as_photo(gradient() + 5 * white(seed)) for seed in (7, 8)]
    together = measure([textured, *plain])
    assert (together.photos, together.uneven) == (3, 1)
    assert together.sigma == measure(plain).sigma
    # one plain photo does not speak for two textured ones
    mostly = measure([textured, textured, plain[0]])
    assert mostly.uneven == 2
    assert mostly.sigma == measure(textured).sigma


def test_clipping_is_not_low_noise() -> None:
    clean = gradient()
    clean[:, :100] = 300
    clean[:60] = -40
    noise = measure(as_photo(clean + 10 * white(7)))
    assert noise.sigma == pytest.approx([10] * 3, rel=0.1)
    # a photo that is dark everywhere: about half of its noise is lost, the rest is measured
    dark = measure(as_photo(np.full((128, 128, 3), 8.0) + 10 * white(8, 128, 128)))
    assert 6 < dark.overall < 10


def test_gray_photo() -> None:
    gray = gradient()[..., :1] + 6 * white(9)[..., :1]
    noise = measure(as_photo(np.repeat(gray, 3, 2)))
    assert noise.sigma == pytest.approx([6] * 3, rel=0.1)
    assert noise.color == pytest.approx(np.ones((3, 3)))


def test_kinds_of_pixels_agree() -> None:
    photo = as_photo(gradient() + 6 * white(10))
    expected = measure(photo)
    for same in (photo.astype(np.uint16) * 257, photo / 255, (photo / 255).astype(np.float32)):
        assert np.array(measure(same).curve) == pytest.approx(np.array(expected.curve), rel=1e-3)
    assert measure(photo[:, ::-1]).sigma == pytest.approx(expected.sigma, rel=0.1)


@pytest.mark.parametrize("shape", [(16, 16), (16, 40), (17, 23), (33, 16), (40, 600)])
def test_tiny_photos(shape: tuple[int, int]) -> None:
    noise = measure(as_photo(128 + 10 * white(11, *shape)))
    assert noise.sigma == pytest.approx([10] * 3, rel=0.35)
    assert np.isfinite(noise.correlation).all()
    assert json.loads(json.dumps(noise.as_dict()))["photos"] == 1


def test_what_cannot_be_measured() -> None:
    with pytest.raises(DataError, match="16×16"):
        measure(np.zeros((15, 400, 3), np.uint8))
    with pytest.raises(DataError, match="no photo"):
        measure([])
    with pytest.raises(ValueError, match="H×W×3"):
        measure(np.zeros((40, 40), np.uint8))
    with pytest.raises(ValueError, match="int64"):
        measure(np.zeros((40, 40, 3), np.int64))
    small, large = np.zeros((9, 9, 3), np.uint8), as_photo(gradient() + 5 * white(12))
    assert measure(iter([small, large])) == measure(large)


def test_photos_of_different_strength_and_brightness() -> None:
    strengths = np.array([0.5, 0.7, 1, 1, 1, 1.4, 2])
    photos = []
    for seed, strength in enumerate(strengths):
        clean = gradient() / 2 + (seed % 2) * 110
        photos.append(as_photo(clean + strength * (3 + clean / 30) * white(20 + seed)))
    noise = measure(photos)
    assert noise.scale == pytest.approx(np.quantile(strengths, [0.1, 0.9]), rel=0.1)
    curve = np.array(noise.curve)[3:13].mean(1)
    assert curve == pytest.approx(3 + 255 * np.array(noise.brightness[3:13]) / 30, rel=0.12)
    # the order, and reading one at a time, do not matter
    assert measure(iter(photos[::-1])) == noise


def test_numbers_are_plain() -> None:
    noise = measure(as_photo(gradient() + 5 * white(13)))
    assert measure(as_photo(gradient() + 5 * white(13))) == noise
    values = noise.as_dict()
    assert values == json.loads(json.dumps(values))
    assert values["overall"] == pytest.approx(noise.overall, abs=1e-4)
    assert np.array(values["correlation"]).shape == (3, 3, 9, 9)
    assert np.array(values["curve"]).shape == (len(values["brightness"]), 3)
