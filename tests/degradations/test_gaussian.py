"""Noise of the given deviation and grain."""

from __future__ import annotations

import math

import pytest
import torch

from noiseda.degradations import build
from tests.degradations.conftest import gray, neighbour_correlation, seeded


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


@pytest.mark.parametrize("size", [0.7, 1.0, 1.5])
def test_grain_is_as_coarse_as_it_says_and_keeps_the_deviation(size: float) -> None:
    noise = build("gaussian", sigma=(20, 20), grain=(size, size))(gray(0.5), seeded(6)) - 0.5
    assert 255 * float(noise.std()) == pytest.approx(20, rel=0.05)
    expected = math.exp(-1 / (4 * size**2))
    assert neighbour_correlation(noise) == pytest.approx(expected, abs=0.03)
    down = neighbour_correlation(noise.transpose(-1, -2))
    assert down == pytest.approx(expected, abs=0.03)


def test_grain_is_drawn_for_each_sample_and_colours_stay_apart() -> None:
    degrade = build("gaussian", sigma=(20, 20), grain=(0, 1.5))
    noise = degrade(torch.full((40, 3, 64, 64), 0.5), seeded(7)) - 0.5
    found = [neighbour_correlation(one) for one in noise]
    assert min(found) < 0.1
    assert max(found) > 0.8
    colours = noise.transpose(0, 1).flatten(1).corrcoef()
    assert float((colours - torch.eye(3)).abs().max()) < 0.05


def test_grain_that_is_none_is_white_noise() -> None:
    white = build("gaussian", sigma=(20, 20))(gray(0.5), seeded(8))
    assert torch.equal(build("gaussian", sigma=(20, 20), grain=(0, 0))(gray(0.5), seeded(8)), white)
    finest = build("gaussian", sigma=(20, 20), grain=(0, 1e-6))(gray(0.5), seeded(8)) - 0.5
    assert abs(neighbour_correlation(finest)) < 0.05
