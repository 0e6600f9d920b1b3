"""Drawn noise has the statistics it was given, and those that were measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from noiseda.degradations import build
from noiseda.images import to_pixels, to_tensor
from noiseda.measurement import matched_options, measure
from tests.measurement.conftest import TRUE, as_photo, correlated, white

EVEN = np.block([[TRUE[:0:-1, :0:-1], TRUE[:0:-1]], [TRUE[:, :0:-1], TRUE]])
COLOR = [[1, 0.7, 0.4], [0.7, 1, 0.2], [0.4, 0.2, 1]]
OPTIONS: dict[str, Any] = {
    "brightness": [0.2, 0.8],
    "sigma": [[2, 4, 6], [10, 5, 20]],
    "correlation": [EVEN.tolist()],
    "color": COLOR,
    "clamp": False,
}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(level: float, options: dict[str, Any], size: int = 256) -> np.ndarray:
    """3×H×W noise on a gray image, in units of 1/255."""
    clean = torch.full((3, size, size), level)
    return 255 * (build("matched", **options)(clean, seeded(0)) - clean).double().numpy()


def along(noise: np.ndarray, rows: int, columns: int) -> float:
    """Correlation at a distance, mean over colours."""
    height, width = noise.shape[1:]
    product = noise[:, rows:, columns:] * noise[:, : height - rows, : width - columns]
    return float((product.mean((1, 2)) / (noise**2).mean((1, 2))).mean())


def test_statistics_are_those_given() -> None:
    for level, sigma in ((0.05, [2, 4, 6]), (0.5, [6, 4.5, 13]), (0.95, [10, 5, 20])):
        noise = drawn(level, OPTIONS)
        assert noise.std((1, 2)) == pytest.approx(sigma, rel=0.04)
        assert np.corrcoef(noise.reshape(3, -1)) == pytest.approx(np.array(COLOR), abs=0.04)
        for rows in range(5):
            for columns in range(5):
                assert along(noise, rows, columns) == pytest.approx(TRUE[rows, columns], abs=0.05)


def test_colors_are_alike_at_a_distance() -> None:
    """Red is what green is a row above and two columns to the left."""
    tables = np.zeros((9, 5, 5))
    tables[::4, 2, 2] = 1
    tables[1, 1, 0] = tables[3, 3, 4] = 0.5
    color = np.eye(3).tolist()
    noise = drawn(0.5, {**OPTIONS, "correlation": tables.tolist(), "color": color})
    scaled = noise / noise.std((1, 2), keepdims=True)
    red, green = scaled[0, 1:, 2:], scaled[1, :-1, :-2]
    assert (red * green).mean() == pytest.approx(0.5, abs=0.02)
    away = scaled[1, 1:, 2:] * scaled[0, :-1, :-2]
    assert away.mean() == pytest.approx(0, abs=0.02)
    assert np.corrcoef(noise.reshape(3, -1)) == pytest.approx(np.eye(3), abs=0.02)


def test_impossible_statistics_come_close() -> None:
    """Medians of measurements need be neither an autocorrelation nor a correlation matrix."""
    table = np.full((3, 3), 0.6)
    table[1, 1] = 1
    color = [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]
    noise = drawn(0.5, {**OPTIONS, "correlation": [table.tolist()], "color": color})
    assert noise.std((1, 2)) == pytest.approx([6, 4.5, 13], rel=0.04)
    assert 0.3 < along(noise, 0, 1) < 0.7


def test_scale_is_drawn_for_each_sample() -> None:
    clean = torch.full((200, 3, 24, 24), 0.5)
    noisy = build("matched", sigma=[[10] * 3], scale=(0.5, 2), clamp=False)(clean, seeded(1))
    octaves = (255 * (noisy - clean).flatten(1).std(1) / 10).log2().sort().values.numpy()
    # log-uniform from half to double
    assert octaves == pytest.approx(np.linspace(-1, 1, 200), abs=0.2)


def test_clamped_unless_told_otherwise() -> None:
    dark = torch.full((3, 64, 64), 0.01)
    noise = build("matched")(dark, seeded(2))
    free = build("matched", clamp=False)(dark, seeded(2))
    assert float(free.min()) < 0
    assert torch.equal(noise, free.clamp(0, 1))
    silent = build("matched", sigma=[[0, 0, 0]])(dark, seeded(2))
    assert torch.equal(silent, dark)


def test_measured_options_are_plain_and_draw_the_like() -> None:
    clean = np.repeat(np.linspace(60, 190, 256)[None, :, None], 256, 0) * [1, 0.9, 0.8]
    mixing = np.linalg.cholesky(COLOR)
    photos = [
        as_photo(clean + (2 + clean / 25) * (correlated(seed) @ mixing.T)) for seed in range(4)
    ]
    noise = measure(photos)
    options = json.loads(json.dumps(matched_options(noise)))
    degradation = build("matched", **options)
    image = to_tensor(as_photo(clean))[0]
    again = measure([to_pixels(degradation(image, seeded(seed))) for seed in range(4)])
    assert again.sigma == pytest.approx(noise.sigma, rel=0.1)
    assert np.array(again.curve) == pytest.approx(np.array(noise.curve), rel=0.2)
    assert again.color == pytest.approx(noise.color, abs=0.06)
    assert again.horizontal == pytest.approx(noise.horizontal, abs=0.05)
    assert again.vertical == pytest.approx(noise.vertical, abs=0.05)


def test_white_noise_needs_no_filter() -> None:
    noise = measure([as_photo(128 + 9 * white(seed)) for seed in range(6)])
    options = matched_options(noise)
    assert np.array(options["correlation"]) == pytest.approx(np.eye(3).reshape(9, 1, 1), abs=0.03)
    assert drawn(0.5, {**options, "scale": (1, 1)}).std() == pytest.approx(9, rel=0.05)


def test_colors_that_are_alike_at_a_distance_need_a_filter() -> None:
    drawn = white(8, 257, 257)
    drawn[1:, 1:, 0] = drawn[:-1, :-1, 1]
    options = matched_options(measure(as_photo(128 + 9 * drawn[1:, 1:])))
    assert np.shape(options["correlation"]) == (9, 9, 9)


def test_real_noise_comes_back(shared: Callable[..., list[np.ndarray]]) -> None:
    """Noise measured on photos, drawn onto their ground truth, measures like the photos."""
    noise = measure(shared("renoir/noisy"))
    degradation = build("matched", **{**matched_options(noise), "scale": (1, 1)})
    clean: list[Tensor] = [to_tensor(photo)[0] for photo in shared("renoir/clean")]
    again = measure([to_pixels(degradation(c, seeded(i))) for i, c in enumerate(clean)])
    # of the photos' own strengths, which are not drawn, σ depends; the curve does not. Of its ends,
    # where hardly any photo has been, less is known
    assert again.sigma == pytest.approx(noise.sigma, rel=0.15)
    assert np.array(again.curve)[2:13] == pytest.approx(np.array(noise.curve)[2:13], rel=0.1)
    assert again.horizontal == pytest.approx(noise.horizontal, abs=0.04)
    assert again.vertical == pytest.approx(noise.vertical, abs=0.04)
    assert again.color == pytest.approx(noise.color, abs=0.06)
    assert np.array(again.correlation) == pytest.approx(np.array(noise.correlation), abs=0.06)
    assert again.scale == pytest.approx((1, 1), abs=0.15)
