"""Additive white Gaussian noise."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from torch import Tensor

from noiseda.degradations.base import DEGRADATIONS, Degradation, ordered, uniform
from noiseda.random import BatchRandom

Sigma = Annotated[float, Field(ge=0, le=255)]


@DEGRADATIONS.register("gaussian")
class Gaussian(Degradation):
    """x = y + σ/255 · n with n ~ N(0, I), σ uniform in a range, drawn once a sample.

    Source of the default range: Liao et al., ICLR 2025, the denoising task. As in its training,
    the result is not clamped and leaves [0, 1].

    Args:
        sigma: lowest and highest standard deviation, in units of 1/255 of the [0, 1] range.
        clamp: clamp the result to [0, 1].
    """

    def __init__(
        self,
        sigma: Annotated[tuple[Sigma, Sigma], AfterValidator(ordered)] = (0.0, 75.0),
        clamp: bool = False,
    ) -> None:
        self.sigma = sigma
        self.clamp = clamp

    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        sigma = uniform(random.rand(1, 1, 1), self.sigma) / 255
        noisy = clean + (sigma * random.randn(*clean.shape[1:])).to(clean.device)
        return noisy.clamp_(0, 1) if self.clamp else noisy
