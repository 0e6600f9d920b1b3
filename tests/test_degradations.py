from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from noiseda.degradations import DEGRADATIONS, Degradation, bayer, build, curves
from noiseda.errors import OptionError

PHOTOS = Path(os.environ.get("NOISEDA_DATA", Path(__file__).parents[2] / "shared/data")) / "bsds500"
MATCHED: dict[str, Any] = {
    "brightness": (0.1, 0.4, 0.9),
    "sigma": ((2, 1, 3), (8, 5, 7), (20, 12, 15)),
    "correlation": (((0.05, 0.2, 0.1), (0.4, 1, 0.4), (0.1, 0.2, 0.05)),),
    "color": ((1, 0.3, 0.1), (0.3, 1, 0.2), (0.1, 0.2, 1)),
    "scale": (0.5, 2),
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("gaussian", {}),
    ("gaussian", {"sigma": (5, 25), "clamp": True}),
    ("camera", {}),
    ("camera", {"demosaic": "malvar", "artifacts": True, "strength": 3}),
    ("camera", {"jpeg": (30, 95), "tone": (0, 0)}),
    ("matched", {}),
    ("matched", MATCHED),
]
SILENT: dict[str, Any] = {"shot": (0, 0), "read": (0, 0)}
variants = st.sampled_from(VARIANTS)
seeds = st.integers(0, 2**40)
examples = settings(deadline=None, max_examples=25)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=seeded(seed))


def gray(value: float, size: int = 128) -> Tensor:
    return torch.full((3, size, size), value)


def neighbour_correlation(residual: Tensor) -> float:
    residual = residual - residual.mean((-2, -1), keepdim=True)
    return float((residual[..., 1:] * residual[..., :-1]).mean() / residual.square().mean())


def psnr(image: Tensor, clean: Tensor) -> float:
    return float(-10 * (image - clean).square().mean().log10())


@pytest.fixture(scope="module")
def photos() -> list[Tensor]:
    if not PHOTOS.is_dir():
        pytest.skip(f"needs real photos in {PHOTOS}")
    import pyvips

    files = sorted((PHOTOS / "val").glob("*.jpg"))[:10]
    images = [torch.from_numpy(pyvips.Image.new_from_file(str(f)).numpy()) for f in files]
    return [image[80:240, 80:240].permute(2, 0, 1).float() / 255 for image in images]


# what holds for every degradation


def test_names() -> None:
    assert {"gaussian", "camera", "matched"} <= set(DEGRADATIONS.names)


@examples
@given(variants, st.integers(1, 9), st.integers(1, 9), st.sampled_from([None, 0, 1, 3]), seeds)
def test_any_size_gives_the_same_shape(
    variant: tuple[str, dict[str, Any]], height: int, width: int, batch: int | None, seed: int
) -> None:
    name, options = variant
    clean = picture(height, width)
    if batch is not None:
        clean = clean.expand(batch, -1, -1, -1)
    before = clean.clone()
    result = build(name, **options)(clean, seeded(seed))
    assert result.shape == clean.shape
    assert result.dtype == torch.float32
    assert result.isfinite().all()
    assert torch.equal(clean, before)
    if name == "camera" or options.get("clamp"):
        assert ((result >= 0) & (result <= 1)).all()


@examples
@given(variants, st.permutations(range(4)))
def test_order_of_calls_does_not_matter(
    variant: tuple[str, dict[str, Any]], order: list[int]
) -> None:
    name, options = variant
    degradation = build(name, **options)
    images = [picture(11 + i, 14, seed=i) for i in range(4)]
    expected = [build(name, **options)(image, seeded(i)) for i, image in enumerate(images)]
    for i in order:
        torch.rand(i + 1)  # the global generator plays no part
        assert torch.equal(degradation(images[i], seeded(i)), expected[i])


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_same_seed_same_pixels(name: str, options: dict[str, Any]) -> None:
    degradation = build(name, **options)
    clean = picture(24, 31)
    expected = degradation(clean, seeded(1))
    global_state = torch.get_rng_state()
    assert torch.equal(degradation(clean, seeded(1)), expected)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert not torch.equal(degradation(clean, seeded(2)), expected)
    strided = clean.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(degradation(strided, seeded(1)), expected)
    sent: Degradation = pickle.loads(pickle.dumps(degradation))
    assert torch.equal(sent(clean, seeded(1)), expected)
    source = seeded(1)
    assert not torch.equal(degradation(clean, source), degradation(clean, source))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_batch_draws_like_single_calls(name: str, options: dict[str, Any]) -> None:
    degradation = build(name, **options)
    batch = torch.stack([picture(16, 13, seed=i) for i in range(5)])
    source = seeded(7)
    one_by_one = torch.stack([degradation(image, source) for image in batch])
    together = degradation(batch, seeded(7))
    # rounding may tip a value over to the next of the 255 steps before JPEG
    tolerance = 0.05 if "jpeg" in options else 1e-5
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("gausian", {}, "did you mean 'gaussian'"),
        ("gaussian", {"sigm": (0, 5)}, "did you mean 'sigma'"),
        ("gaussian", {"sigma": (50, 10)}, "low 50 is above high 10"),
        ("gaussian", {"sigma": (-1, 10)}, "sigma.0"),
        ("gaussian", {"sigma": (0, 256)}, "sigma.1"),
        ("gaussian", {"sigma": (float("nan"), 10)}, "sigma.0"),
        ("gaussian", {"sigma": 25}, "sigma"),
        ("camera", {"shot": (0, 0.01)}, "low above 0"),
        ("camera", {"read": (0.1, 0.01)}, "low 0.1 is above high 0.01"),
        ("camera", {"red_gain": (0.5, 2)}, "red_gain.0"),
        ("camera", {"strength": -1}, "strength"),
        ("camera", {"demosaic": "ahd"}, "'malvar' or 'bilinear'"),
        ("camera", {"jpeg": (90, 50)}, "low 90 is above high 50"),
        ("camera", {"jpeg": (0, 50)}, "jpeg"),
        ("matched", {"brightness": (0.5, 0.2)}, "do not increase"),
        ("matched", {"brightness": (0.2, 0.5)}, "1 rows of sigma for 2 brightnesses"),
        ("matched", {"sigma": ((1, 2),)}, "sigma.0"),
        ("matched", {"correlation": (((1, 0), (0, 1)),)}, "one odd number of rows"),
        ("matched", {"correlation": (((0.9,),),)}, "middle of a table is 0.9"),
        ("matched", {"color": ((1, 2, 0), (2, 1, 0), (0, 0, 1))}, "color.0.1"),
        ("matched", {"scale": (0, 1)}, "low above 0"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        build(name, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("clean", "words"),
    [
        (torch.zeros(1, 8, 8), "(1, 8, 8)"),
        (torch.zeros(8, 8), "(8, 8)"),
        (torch.zeros(2, 3, 0, 8), "(2, 3, 0, 8)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "torch.uint8"),
    ],
)
def test_wrong_images_are_named(clean: Tensor, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        build("gaussian")(clean, seeded(0))
    assert words in str(caught.value)


# Gaussian noise


@pytest.mark.parametrize("sigma", [0.0, 10.0, 75.0])
def test_gaussian_has_the_given_deviation(sigma: float) -> None:
    residual = build("gaussian", sigma=(sigma, sigma))(gray(0.5), seeded(3)) - 0.5
    assert 255 * float(residual.std()) == pytest.approx(sigma, rel=0.02)
    assert 255 * abs(float(residual.mean())) <= 0.02 * sigma


def test_gaussian_sigma_is_uniform_over_the_range() -> None:
    low, high, count = 10.0, 50.0, 600
    clean = torch.zeros(count, 3, 20, 20)
    noisy = build("gaussian", sigma=(low, high))(clean, seeded(4))
    measured = (255 * noisy.flatten(1).std(1)).sort().values
    reached = (torch.arange(count) + 0.5) / count
    distance = (reached - (measured - low) / (high - low)).abs().max()
    assert float(distance) < 1.63 / count**0.5  # Kolmogorov-Smirnov at the 1 % level


def test_gaussian_is_white_and_leaves_the_range_unless_clamped() -> None:
    noisy = build("gaussian", sigma=(50, 50))(gray(0.95), seeded(5))
    assert abs(neighbour_correlation(noisy - 0.95)) < 0.05
    assert float(noisy.max()) > 1
    clamped = build("gaussian", sigma=(50, 50), clamp=True)(gray(0.95), seeded(5))
    assert torch.equal(clamped, noisy.clamp(0, 1))


# camera


@pytest.mark.parametrize("demosaic", ["bilinear", "malvar"])
@pytest.mark.parametrize("artifacts", [False, True])
def test_camera_without_noise_gives_constants_back(demosaic: str, artifacts: bool) -> None:
    camera = build("camera", demosaic=demosaic, artifacts=artifacts, **SILENT)
    levels = torch.linspace(0, 1, 256)
    colours = torch.stack([levels, levels.roll(85), levels.flip(0)], 1)
    clean = torch.cat([levels[:, None].expand(-1, 3), colours])[:, :, None, None]
    clean = clean.expand(-1, -1, 5, 6)
    assert float((camera(clean, seeded(0)) - clean).abs().max()) < 1e-3


@pytest.mark.parametrize("artifacts", [False, True])
def test_camera_without_noise_gives_smooth_images_back(artifacts: bool) -> None:
    camera = build("camera", artifacts=artifacts, **SILENT)
    ramp = torch.linspace(0.2, 0.8, 64)
    clean = torch.stack([ramp.expand(64, 64), ramp.expand(64, 64).T, ramp.outer(ramp)])
    error = (camera(clean.expand(8, -1, -1, -1), seeded(0)) - clean).abs()
    assert float(error.max()) < 0.01
    assert float(error[..., 2:-2, 2:-2].max()) < 0.001


def test_camera_without_noise_gives_photos_back_unless_artifacts(photos: list[Tensor]) -> None:
    clean = torch.stack(photos)
    assert float((build("camera", **SILENT)(clean, seeded(0)) - clean).abs().max()) < 1e-4
    artifacts = build("camera", artifacts=True, **SILENT)(clean, seeded(0))
    assert 20 < psnr(artifacts, clean) < 40


def test_camera_noise_on_photos_is_in_the_promised_range(photos: list[Tensor]) -> None:
    camera = build("camera")
    values = torch.tensor(
        [psnr(camera(x, seeded(10 * i + k)), x) for i, x in enumerate(photos) for k in range(8)]
    )
    low, high = values.quantile(torch.tensor([0.05, 0.95])).tolist()
    assert 18 < low < 23
    assert 34 < high < 40


@pytest.mark.parametrize("demosaic", ["bilinear", "malvar"])
def test_camera_noise_is_correlated(demosaic: str) -> None:
    clean = gray(0.5)
    residual = build("camera", demosaic=demosaic)(clean, seeded(6)) - clean
    assert neighbour_correlation(residual) > 0.2
    assert neighbour_correlation(residual.transpose(1, 2)) > 0.2


@pytest.mark.parametrize("light", [0.05, 0.2, 0.5])
def test_shot_noise_grows_with_light_as_predicted(light: float) -> None:
    shot, read, red, blue = 1e-4, 2e-3, 2.0, 1.5
    camera = build(
        "camera",
        shot=(shot, shot),
        read=(read, read),
        red_gain=(red, red),
        blue_gain=(blue, blue),
        tone=(0, 0),
    )
    clean = curves.linear_to_srgb(torch.full((3, 160, 160), light))
    variance = curves.srgb_to_linear(camera(clean, seeded(8))).var((1, 2))
    # the mean over sites of the sum of squared weights: own, two or four neighbours
    averaging = torch.tensor([9 / 16, 5 / 8, 9 / 16])
    gain = torch.tensor([red, 1.0, blue])
    expected = averaging * gain**2 * (shot * light / gain + read**2)
    torch.testing.assert_close(variance, expected, rtol=0.08, atol=0)


def test_strength_scales_the_noise() -> None:
    clean = gray(0.5, 64)
    levels: dict[str, Any] = {"shot": (1e-5, 1e-4), "read": (1e-4, 1e-3)}
    once = build("camera", **levels)(clean, seeded(9)) - clean
    twice = build("camera", strength=2, **levels)(clean, seeded(9)) - clean
    assert float((twice - 2 * once).std() / once.std()) < 0.05
    none = build("camera", strength=0, **levels)(clean, seeded(9))
    torch.testing.assert_close(none, clean, rtol=0, atol=1e-5)


def test_each_sample_has_its_own_levels() -> None:
    residual = build("camera")(gray(0.5, 48).expand(6, -1, -1, -1), seeded(10)) - 0.5
    assert residual.flatten(1).std(1).round(decimals=4).unique().numel() == 6


def test_jpeg_compresses_the_same_noise(photos: list[Tensor]) -> None:
    clean = photos[0]
    plain = build("camera")(clean, seeded(11))
    best, good, poor = (build("camera", jpeg=(q, q))(clean, seeded(11)) for q in (100, 75, 20))
    assert not torch.equal(good, plain)
    assert torch.equal(good, build("camera", jpeg=(75, 75))(clean, seeded(11)))
    torch.testing.assert_close(good * 255, (good * 255).round())
    assert psnr(best, plain) > psnr(good, plain) > psnr(poor, plain)
    assert psnr(best, plain) > 38


# parts of the camera


@examples
@given(st.floats(1e-4, 1), st.floats(1, 8), seeds)
def test_curves_are_undone_by_their_inverses(amount: float, gain: float, seed: int) -> None:
    x = torch.cat([torch.rand(500, generator=seeded(seed)), torch.tensor([0, 0.9, 1.0])])
    a, g = torch.tensor(amount), torch.tensor(gain)
    close: dict[str, Any] = {"rtol": 0, "atol": 2e-6}
    torch.testing.assert_close(curves.tone(curves.inverse_tone(x, a), a), x, **close)
    torch.testing.assert_close(curves.linear_to_srgb(curves.srgb_to_linear(x)), x, **close)
    torch.testing.assert_close(curves.balance(curves.unbalance(x, g), g), x, **close)


def test_white_saturates_the_sensor() -> None:
    gain = torch.tensor(2.0)
    assert float(curves.unbalance(torch.tensor(1.0), gain)) == pytest.approx(1)
    assert float(curves.unbalance(torch.tensor(0.5), gain)) == pytest.approx(0.25)


def test_phases_are_the_four_of_rggb() -> None:
    first = bayer.sites(torch.arange(4), 2, 2).flatten(1).tolist()
    assert first == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]


@pytest.mark.parametrize("kind", ["bilinear", "malvar"])
def test_demosaicing_keeps_samples_and_follows_gray_ramps(kind: bayer.Filter) -> None:
    rows, columns = torch.meshgrid(torch.arange(13.0), torch.arange(16.0), indexing="ij")
    ramp = (0.1 + 0.02 * rows + 0.03 * columns).expand(4, 3, -1, -1)
    site = bayer.sites(torch.arange(4), 13, 16)
    inner = slice(bayer.MARGIN, -bayer.MARGIN)
    result = bayer.demosaic(bayer.mosaic(ramp, site), site, kind)
    torch.testing.assert_close(result, ramp[..., inner, inner])
    image = torch.rand(4, 3, 13, 16, generator=seeded(12))
    raw = bayer.mosaic(image, site)
    kept = bayer.mosaic(bayer.demosaic(raw, site, kind), site[:, inner, inner])
    torch.testing.assert_close(kept, raw[..., inner, inner])


def test_malvar_is_sharper_than_bilinear(photos: list[Tensor]) -> None:
    clean = torch.stack(photos)
    bilinear, malvar = (
        psnr(build("camera", demosaic=kind, artifacts=True, **SILENT)(clean, seeded(13)), clean)
        for kind in ("bilinear", "malvar")
    )
    assert malvar > bilinear + 1
