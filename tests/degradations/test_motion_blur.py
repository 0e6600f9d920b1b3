"""Motion blur: kernels that neither add nor lose light, and act on light."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from noiseda.degradations import build, curves
from noiseda.degradations.kernels import blur, shaken_path, taps
from noiseda.random import BatchRandom
from tests.degradations.conftest import examples, gray, picture, psnr, seeded, seeds

lengths, shakes = st.floats(0, 40), st.floats(0, 1)


def path(length: float, shake: float, seed: int) -> Tensor:
    return shaken_path(length, shake, BatchRandom([seeded(seed)]))


@examples
@given(lengths, shakes, seeds)
def test_a_path_is_as_long_as_asked_and_centred(length: float, shake: float, seed: int) -> None:
    places = path(length, shake, seed)
    assert places.isfinite().all()
    torch.testing.assert_close(places.mean(0), torch.zeros(2), rtol=0, atol=1e-3)
    steps = places.diff(dim=0).norm(dim=1).sum()
    # sampled at the middle of each step, and corners are cut
    assert float(steps) <= length + 1e-3
    if shake == 0 and length > 2:
        assert float(steps) == pytest.approx(length, abs=0.3)
        assert float((places[-1] - places[0]).norm()) == pytest.approx(float(steps), abs=1e-3)


@examples
@given(lengths, shakes, seeds)
def test_a_kernel_sums_to_one_and_is_centred(length: float, shake: float, seed: int) -> None:
    places, weights = taps(path(length, shake, seed))
    assert float(weights.min()) > 0
    assert float(weights.sum()) == pytest.approx(1, abs=1e-5)
    assert len({tuple(place) for place in places.tolist()}) == len(weights)
    mean = (weights[:, None] * places).sum(0)
    torch.testing.assert_close(mean, torch.zeros(2), rtol=0, atol=2e-3)


def test_curved_paths_turn() -> None:
    ends = [path(20, 1.0, seed) for seed in range(40)]
    spans = torch.tensor([float((p[-1] - p[0]).norm()) for p in ends])
    assert float(spans.mean()) < 15
    assert float(spans.std()) > 2


@examples
@given(st.integers(1, 12), st.integers(1, 12), lengths, shakes, seeds)
def test_blur_is_a_mean_of_the_mirrored_picture(
    height: int, width: int, length: float, shake: float, seed: int
) -> None:
    light = picture(height, width, seed=1)
    kernel = taps(path(length, shake, seed))
    blurred = blur(light, *kernel)
    assert float(blurred.min()) >= float(light.min()) - 1e-5
    assert float(blurred.max()) <= float(light.max()) + 1e-5
    # linear
    torch.testing.assert_close(blur(3 * light, *kernel), 3 * blurred)
    # and of constants nothing changes, borders included
    constant = torch.full((3, height, width), 0.3)
    torch.testing.assert_close(blur(constant, *kernel), constant)


def test_blur_is_the_convolution_with_the_kernel() -> None:
    places, weights = taps(path(9, 0.7, 5))
    reach = int(places.abs().max())
    light = torch.zeros(1, 31, 33)
    light[0, 15, 16] = 1
    expected = torch.zeros(31, 33)
    expected[15 + places[:, 0], 16 + places[:, 1]] = weights
    assert reach < 15
    torch.testing.assert_close(blur(light, places, weights)[0], expected)


@examples
@given(seeds, st.floats(0, 30))
def test_light_is_conserved(seed: int, length: float) -> None:
    """A picture on black loses no light, measured in linear light."""
    clean = torch.zeros(3, 80, 90)
    clean[:, 32:-32, 32:-32] = picture(16, 26, seed=3)
    blurry = build("motion-blur", length=(length, length))(clean, seeded(seed))
    before, after = (curves.srgb_to_linear(x).sum((1, 2)) for x in (clean, blurry))
    torch.testing.assert_close(before, after, rtol=2e-3, atol=0)


@pytest.mark.parametrize("value", [0.0, 0.2, 0.7, 1.0])
def test_plain_areas_stay_up_to_the_border(value: float) -> None:
    clean = gray(value, 40)
    blurry = build("motion-blur")(clean.expand(6, -1, -1, -1), seeded(1))
    torch.testing.assert_close(blurry, clean.expand(6, -1, -1, -1), rtol=0, atol=1e-4)


def test_black_and_white_mix_as_light_does() -> None:
    """Half white, half black is half of the light, which is 0.735 on the display."""
    stripes = (torch.arange(96) % 2).float().expand(3, 96, 96)
    options: dict[str, Any] = {"length": (40, 40), "path": "curved", "shake": (0.3, 0.3)}
    blurry = build("motion-blur", **options)(stripes, seeded(3))
    assert float(blurry[:, 30:66, 30:66].mean()) == pytest.approx(0.735, abs=0.01)


def test_without_motion_the_picture_comes_back() -> None:
    clean = picture(20, 30)
    still = build("motion-blur", length=(0, 0))(clean, seeded(0))
    torch.testing.assert_close(still, clean, rtol=0, atol=1e-4)


def test_highlights_leave_brighter_streaks() -> None:
    clean = torch.zeros(3, 61, 61)
    clean[:, 29:32, 29:32] = 1
    options: dict[str, Any] = {"length": (20, 20), "path": "linear"}
    plain = build("motion-blur", **options)(clean, seeded(5))
    bright = build("motion-blur", highlights=(5, 5), **options)(clean, seeded(5))
    light = [float(curves.srgb_to_linear(image).sum()) for image in (plain, bright)]
    assert float(bright.max()) <= 1
    assert light[1] > 3 * light[0]
    # darker parts are not touched
    dim = clean * 0.8
    same = [build("motion-blur", highlights=(h, h), **options)(dim, seeded(5)) for h in (1, 5)]
    torch.testing.assert_close(*same)


def test_noise_comes_after_the_blur() -> None:
    noisy = build("motion-blur", noise=(5, 5))(gray(0.5), seeded(6))
    assert float((noisy - 0.5).std() * 255) == pytest.approx(5, rel=0.05)
    assert float((noisy[..., 1:] - 0.5).mul(noisy[..., :-1] - 0.5).mean() * 255**2) < 1


def test_longer_paths_blur_more(photos: list[Tensor]) -> None:
    clean = torch.stack(photos)
    values = [
        psnr(build("motion-blur", length=(length, length))(clean, seeded(7)), clean)
        for length in (1, 5, 15, 40)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 30
    assert values[-1] < 26


def test_margin_is_what_the_middle_depends_on() -> None:
    """A crop that is cut after blurring is that of the blurred picture."""
    blurring = build("motion-blur", length=(4, 18), path="linear")
    wide, margin = picture(100, 100), blurring.margin
    inner = wide[:, 20:80, 20:80]
    whole = blurring(wide, seeded(8))[:, 20 + margin : 80 - margin, 20 + margin : 80 - margin]
    cut = blurring(inner, seeded(8))[:, margin:-margin, margin:-margin]
    torch.testing.assert_close(whole, cut)
