"""Samples of a distribution whose best noise predictor is known have its mean and variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from noiseda import diffusion
from noiseda.diffusion import SAMPLERS, Schedule, levels, sample
from noiseda.errors import OptionError
from noiseda.random import BatchRandom

# nothing is left of the image at its end, as sampling takes for granted
SCHEDULE = Schedule("linear", 1000, 1e-4, 2e-2)
MEAN, DEVIATION = 0.7, 0.3
SHAPE = (3, 128, 128)
MISSPELT: Any = "ddmp"


def best(x: Tensor, gamma: Tensor) -> Tensor:
    """E[ε | x] of images whose pixels are N(MEAN, DEVIATION²), independent of each other."""
    gamma = gamma.view(-1, 1, 1, 1)
    spread = gamma * DEVIATION**2 + 1 - gamma
    return (1 - gamma).sqrt() * (x - gamma.sqrt() * MEAN) / spread


def random(count: int = 2, seed: int = 0) -> BatchRandom:
    return BatchRandom.for_samples(seed, list(range(count)), "sampling")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_all_steps_give_the_distribution(sampler: diffusion.Sampler) -> None:
    drawn = sample(best, SHAPE, SCHEDULE, random(), sampler=sampler)
    assert drawn.shape == (2, *SHAPE)
    # 98304 pixels: standard errors 0.001 of the mean, 0.0007 of the deviation
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.005)
    assert float(drawn.std()) == pytest.approx(DEVIATION, abs=0.005)
    # and the form: 68.3 % within one standard deviation, 95.4 % within two
    for times, share in ((1, 0.6827), (2, 0.9545)):
        inside = ((drawn - MEAN).abs() < times * DEVIATION).float().mean()
        assert float(inside) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 10, 100])
def test_any_number_of_steps_has_the_mean(sampler: diffusion.Sampler, steps: int) -> None:
    drawn = sample(best, SHAPE, SCHEDULE, random(), sampler=sampler, steps=steps)
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(drawn.std()) <= DEVIATION + 0.01


def test_more_steps_come_nearer_to_the_variance() -> None:
    found = {
        sampler: [
            abs(
                float(sample(best, SHAPE, SCHEDULE, random(), sampler=sampler, steps=steps).std())
                - DEVIATION
            )
            for steps in (5, 20, 200)
        ]
        for sampler in ("ddpm", "ddim")
    }
    for sampler, errors in found.items():
        assert errors == sorted(errors, reverse=True), sampler
        assert errors[-1] < errors[0] / 10


def test_every_step_of_ddpm_is_the_posterior_of_ho_et_al() -> None:
    """Equation 7, from the tables of a published checkpoint."""
    schedule = Schedule("linear", 6, 0.05, 0.6)

    def predict(x: Tensor, gamma: Tensor) -> Tensor:
        return torch.sin(x) * gamma.view(-1, 1, 1, 1)

    shape = (3, 4, 5)
    tables = schedule.buffers()
    source = random(3, seed=1)
    x = source.randn(*shape)
    for t in reversed(range(6)):
        gamma = schedule.gammas[t]
        noise = predict(x, gamma.expand(3, 1))
        clean = tables["sqrt_recip_gammas"][t] * x - tables["sqrt_recipm1_gammas"][t] * noise
        x = tables["posterior_mean_coef1"][t] * clean + tables["posterior_mean_coef2"][t] * x
        if t:
            deviation = (tables["posterior_log_variance_clipped"][t] / 2).exp()
            x = x + deviation * source.randn(*shape)
    drawn = sample(predict, shape, schedule, random(3, seed=1), sampler="ddpm")
    torch.testing.assert_close(drawn, x, rtol=1e-4, atol=1e-5)


def test_ddim_is_the_map_of_the_probability_flow() -> None:
    """Of Gaussian data: standardised pixels stay as they are (Song et al. 2021, section 4.3)."""
    shape = (3, 8, 8)
    start = random().randn(*shape)
    last = float(SCHEDULE.gammas[-1])
    spread = math.sqrt(last * DEVIATION**2 + 1 - last)
    expected = MEAN + DEVIATION * (start - math.sqrt(last) * MEAN) / spread
    drawn = sample(best, shape, SCHEDULE, random(), sampler="ddim")
    torch.testing.assert_close(drawn, expected, rtol=0, atol=0.01)


def test_images_stay_in_the_range_that_is_given() -> None:
    drawn = sample(best, (3, 16, 16), SCHEDULE, random(), steps=20, clip=(0.5, 0.8))
    assert (float(drawn.min()), float(drawn.max())) == pytest.approx((0.5, 0.8), abs=1e-6)


def test_samples_do_not_depend_on_how_many_there_are() -> None:
    four, one = (
        sample(best, (3, 8, 8), SCHEDULE, random(count), steps=10, sampler="ddpm")
        for count in (4, 1)
    )
    torch.testing.assert_close(four[:1], one)
    assert (four[0] - four[1]).abs().mean() > 0.1


def test_levels_are_evenly_spaced_with_both_ends() -> None:
    gammas = SCHEDULE.gammas.double()
    assert levels(SCHEDULE).tolist() == gammas.flip(0).tolist()
    for steps in (2, 3, 50, 999):
        found = levels(SCHEDULE, steps)
        assert len(found) == steps
        assert (found[0], found[-1]) == (gammas[-1], gammas[0])
        assert bool((found.diff() > 0).all())
    assert levels(SCHEDULE, 1).tolist() == [float(gammas[-1])]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: levels(SCHEDULE, 0), "sampling steps 0: choose from 1 to 1000"),
        (lambda: levels(SCHEDULE, 1001), "sampling steps 1001"),
        (
            lambda: sample(best, (3, 4, 4), SCHEDULE, random(), sampler=MISSPELT),
            "unknown sampler 'ddmp'; did you mean 'ddpm'",
        ),
    ],
)
def test_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        call()
