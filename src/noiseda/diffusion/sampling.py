"""Draw images with a noise predictor: from noise, step by step, to an image.

Written with the share of signal γ that the predictors are conditioned on (ᾱ in Ho et al. 2020 and
in Song et al. 2021, who write α for it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from noiseda.diffusion.schedules import Schedule
from noiseda.errors import OptionError, did_you_mean
from noiseda.random import BatchRandom

Sampler = Literal["ddpm", "ddim"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)

Predict = Callable[[Tensor, Tensor], Tensor]
"""From the noisy image B×C×H×W and γ B×1 to the noise in it."""


def levels(schedule: Schedule, steps: int | None = None) -> Tensor:
    """γ of a sampling's steps: `steps` of the schedule's, evenly spaced, first and last among them.

    Args:
        schedule: the noise schedule.
        steps: how many; None for all T of the schedule.

    Returns:
        `steps` values, rising: from most noise to least; float64.

    Raises:
        OptionError: `steps` is below 1 or above T.
    """
    count = len(schedule.gammas)
    steps = count if steps is None else steps
    if not 1 <= steps <= count:
        raise OptionError(f"sampling steps {steps}: choose from 1 to {count}, the schedule's own")
    # a single one begins at the last level, where there is noise alone
    chosen = torch.linspace(count - 1, 0, steps, dtype=torch.float64).round().long()
    return schedule.gammas.double()[chosen]


@torch.no_grad()
def sample(
    predict: Predict,
    shape: tuple[int, ...],
    schedule: Schedule,
    random: BatchRandom,
    *,
    sampler: Sampler = "ddpm",
    steps: int | None = None,
    clip: tuple[float, float] | None = None,
    device: torch.device | str = "cpu",
    advance: Callable[[], None] = lambda: None,
) -> Tensor:
    """Draw images, from x ~ N(0, I) at the schedule's last level to level γ = 1.

    With ε̂ = predict(x, γ), the estimate ŷ = (x − √(1−γ)·ε̂) / √γ of the clean image (Ho et al. 2020,
    eq. 15) and the next level γ', each step is Song et al. 2021, eq. 12:

        x' = √γ'·ŷ + √(1−γ'−σ²)·ε̂ + σ·z,  z ~ N(0, I)

    - "ddpm": σ² = (1−γ')/(1−γ) · (1 − γ/γ') (eq. 16 with η = 1), the variance of the posterior of
      x' given x and the clean image; with all steps the ancestral sampling of Ho et al. 2020,
      algorithm 2, with σ² = β̃, between two steps that are not neighbours that of the shorter chain.
    - "ddim": σ = 0; what is drawn depends on the first x alone, and few steps do.

    Args:
        predict: the noise predictor with its conditions.
        shape: C×H×W of an image; there are as many as `random` draws for.
        schedule: that the predictor was trained with.
        random: of the first x and, with "ddpm", of every step.
        sampler: "ddpm" or "ddim".
        steps: of the schedule that are used, see `levels`.
        clip: range that ŷ is clamped to in every step, that of the images; ε̂ is then what leads
            to it. None to leave it as it is.
        device: of the predictor.
        advance: called after each step.

    Returns:
        B×C×H×W float32.

    Raises:
        OptionError: unknown sampler, or a number of steps that the schedule does not have.
    """
    if sampler not in SAMPLERS:
        raise OptionError(f"unknown sampler {sampler!r}{did_you_mean(sampler, SAMPLERS)}")
    gammas = levels(schedule, steps).tolist()
    x = random.randn(*shape).to(device)
    for gamma, following in zip(gammas, [*gammas[1:], 1.0], strict=True):
        noise = predict(x, x.new_full((len(x), 1), gamma))
        clean = (x - (1 - gamma) ** 0.5 * noise) / gamma**0.5
        if clip is not None:
            clean = clean.clamp(*clip)
            noise = (x - gamma**0.5 * clean) / (1 - gamma) ** 0.5
        variance = (1 - following) / (1 - gamma) * (1 - gamma / following)
        if sampler == "ddim":
            variance = 0.0
        # what rounding leaves of 0 may be below it
        x = following**0.5 * clean + max(1 - following - variance, 0.0) ** 0.5 * noise
        if variance > 0:
            x = x + variance**0.5 * random.randn(*shape).to(x)
        advance()
    return x
