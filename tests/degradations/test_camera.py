"""Noise of a camera: nothing without noise, and the promised amounts with it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from noiseda.degradations import build, curves
from tests.degradations.conftest import SILENT, gray, neighbour_correlation, psnr, seeded


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
