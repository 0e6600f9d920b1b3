"""The noise levels that a diagnosis looks at, and how much of the training falls to each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from noiseda.diffusion import Schedule

COUNT = 12

# noise below this, in units of the image's range, is far finer than 8 bits
_LEAST_RATIO = 1e-4


@dataclass(frozen=True)
class Levels:
    """L noise levels, from little noise to much.

    Attributes:
        gammas: γ, L values in (0, 1), falling; float32.
        shares: part of the training's draws nearest to each level; L values that add up to 1,
            float64. A mean over the levels with these weights is one over the training.
    """

    gammas: Tensor
    shares: Tensor

    @property
    def ratios(self) -> Tensor:
        """√((1−γ)/γ), the noise in ỹ relative to the image in it; L values, float64."""
        return noise_ratio(self.gammas)

    def __len__(self) -> int:
        return len(self.gammas)


def noise_ratio(gammas: Tensor) -> Tensor:
    """√((1−γ)/γ), float64, at least 1e-4."""
    gammas = gammas.double()
    return ((1 - gammas) / gammas).sqrt().clamp(min=_LEAST_RATIO)


def noise_levels(schedule: Schedule, steps: tuple[int, int], count: int = COUNT) -> Levels:
    """Levels evenly spaced in log √((1−γ)/γ) over what training draws.

    Evenly in log γ would put nearly all of them where little is left of the image, although a
    condition's own error is compared with noise of its size.

    Args:
        schedule: the noise schedule.
        steps: t is drawn from low ≤ t < high, and γ between γ[t−1] and γ[t].
        count: L, at least 2.
    """
    low, high = steps
    ratios = noise_ratio(schedule.gammas[low - 1 : high])
    first, last = (float(ratio.log()) for ratio in (ratios[0], ratios[-1]))
    wanted = torch.linspace(first, last, count, dtype=torch.float64)
    gammas = 1 / (1 + wanted.exp().square())
    drawn = ((ratios[:-1] + ratios[1:]) / 2).log()
    nearest = (drawn.unsqueeze(1) - wanted).abs().argmin(1)
    shares = torch.bincount(nearest, minlength=count).double() / len(drawn)
    return Levels(gammas.float(), shares)
