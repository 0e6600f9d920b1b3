"""What is measured: known noise on known images, and real noise against its ground truth."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from noiseda.degradations import build
from noiseda.errors import DataError
from noiseda.images import to_pixels, to_tensor
from noiseda.measurement import Noise, matched_options, measure
from noiseda.measurement import photo as one_photo
from tests.measurement.conftest import TRUE, as_photo, correlated, white

Reader = Callable[..., list[np.ndarray]]


def gradient(height: int = 256, width: int = 256) -> np.ndarray:
    """A smooth image: H×W×3 in units of 1/255."""
    across, down = np.linspace(0, 1, width), np.linspace(0, 1, height)[:, None]
    planes = [70 + 100 * across + 0 * down, 80 + 90 * down + 0 * across, 190 - 90 * across * down]
    return np.stack(planes, -1)


def ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort()


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


# real noise against noisy − clean, which the measurement does not see


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
