"""White noise of the given deviation."""

from __future__ import annotations

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
