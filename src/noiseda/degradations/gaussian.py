"""Additive Gaussian noise, white or with grain."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor
from torch.nn import functional as F

from noiseda.degradations.base import DEGRADATIONS, Degradation, ordered, uniform
from noiseda.random import BatchRandom

Sigma = Annotated[float, Field(ge=0, le=255)]
Grain = Annotated[float, Field(ge=0, le=10)]

# standard deviations after which the filter of the grain ends
_REACH = 3


@DEGRADATIONS.register("gaussian")
class Gaussian(Degradation):
    """x = y + σ/255 · n with n ~ N(0, I), σ uniform in a range, drawn once a sample.

    Source of the default range: Liao et al., ICLR 2025, the denoising task. As in its training,
    the result is not clamped and leaves [0, 1].

    With `grain`, n is correlated between neighbours, as it is after a camera's own processing or
    in an enlarged photo: white noise through a Gaussian of g pixels, whose correlation d pixels
    away is exp(-d²/4g²) from g = 0.7 on, and less for finer grain; its σ stays as drawn.

    Args:
        sigma: lowest and highest standard deviation, in units of 1/255 of the [0, 1] range.
        grain: range of g in pixels, uniform, drawn once a sample; (0, 0) for white noise.
        clamp: clamp the result to [0, 1].
    """

    def __init__(
        self,
        sigma: Annotated[tuple[Sigma, Sigma], AfterValidator(ordered)] = (0.0, 75.0),
        grain: Annotated[tuple[Grain, Grain], AfterValidator(ordered)] = (0.0, 0.0),
        clamp: bool = False,
    ) -> None:
        self.sigma = sigma
        self.grain = grain
        self.clamp = clamp

    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        sigma = uniform(random.rand(1, 1, 1), self.sigma) / 255
        noise = self._grains(clean, random) if self.grain[1] else random.randn(*clean.shape[1:])
        noisy = clean + (sigma * noise).to(clean.device)
        return noisy.clamp_(0, 1) if self.clamp else noisy

    def _grains(self, clean: Tensor, random: BatchRandom) -> Tensor:
        """Of the shape of the batch, with unit variance."""
        batch, channels, height, width = clean.shape
        # a finer one falls between the pixels: white
        grain = uniform(random.rand(1), self.grain).clamp(min=0.05)
        reach = math.ceil(_REACH * self.grain[1])
        white = random.randn(channels, height + 2 * reach, width + 2 * reach)
        offset = torch.arange(-reach, reach + 1)
        kernel = (-(offset**2) / (2 * grain**2)).exp()
        kernel = (kernel / kernel.norm(dim=1, keepdim=True))[:, None, None]
        # a filter for each sample: samples are the groups of the convolution
        rows = F.conv2d(white.transpose(0, 1), kernel, groups=batch)
        return F.conv2d(rows, kernel.transpose(2, 3), groups=batch).transpose(0, 1)
