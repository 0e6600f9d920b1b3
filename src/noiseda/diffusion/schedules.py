"""Noise schedules: how much of the clean image is left at each step of the diffusion.

With the step variances β₁ … β_T, γ_t = Π_{s≤t} (1 − β_s) is the share of signal left after t steps
(ᾱ_t in Ho et al. 2020, γ_t in Saharia et al. 2021). The noise predictors are conditioned on γ
itself, a continuous number, and not on the index t.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from noiseda.errors import OptionError, did_you_mean

ScheduleName = Literal["linear", "quadratic", "cosine", "constant", "warmup10", "warmup50", "jsd"]
NAMES: tuple[str, ...] = get_args(ScheduleName)

# Nichol & Dhariwal 2021, below eq. 17: a single step must not erase the image altogether.
_LARGEST_BETA = 0.999
_COSINE_OFFSET = 0.008


def betas(name: str, steps: int, start: float, end: float) -> Tensor:
    """Step variances β, with index i = 0 … T−1 and T = `steps`.

    | name | β_i |
    |---|---|
    | linear | start + (end − start) · i / (T−1) (Ho et al. 2020) |
    | quadratic | (√start + (√end − √start) · i / (T−1))² |
    | constant | end |
    | warmup10, warmup50 | linear from start to end over the first 10 % or 50 %, then end |
    | cosine | 1 − f(i+1) / f(i), f(i) = cos²(π/2 · (i/T + 0.008) / 1.008), at most 0.999 |
    |  | (Nichol & Dhariwal 2021, eq. 17) |
    | jsd | 1 / (T − i), at most 0.999: γ falls in a straight line |
    |  | (Sohl-Dickstein et al. 2015, section 2.4.1) |

    Args:
        name: one of `NAMES`.
        steps: T, at least 2.
        start: β of the first step, in (0, 1); "constant", "cosine" and "jsd" do not use it.
        end: β of the last step, in [start, 1); "cosine" and "jsd" do not use it.

    Returns:
        T values in (0, 1), float64.

    Raises:
        OptionError: unknown name, or a value out of range.
    """
    if name not in NAMES:
        raise OptionError(f"unknown noise schedule {name!r}{did_you_mean(name, NAMES)}")
    if steps < 2:
        raise OptionError(f"noise schedule {name!r}: steps must be at least 2 (got {steps})")
    if not 0 < start <= end < 1:
        raise OptionError(
            f"noise schedule {name!r}: start and end must satisfy 0 < start <= end < 1 "
            f"(got start={start}, end={end})"
        )
    if name == "linear":
        return torch.linspace(start, end, steps, dtype=torch.float64)
    if name == "quadratic":
        return torch.linspace(math.sqrt(start), math.sqrt(end), steps, dtype=torch.float64) ** 2
    if name == "cosine":
        times = torch.arange(steps + 1, dtype=torch.float64) / steps
        signal = ((times + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * math.pi / 2).cos() ** 2
        return (1 - signal[1:] / signal[:-1]).clamp(max=_LARGEST_BETA)
    if name == "jsd":
        left = torch.arange(steps, 0, -1, dtype=torch.float64)
        return (1 / left).clamp(max=_LARGEST_BETA)
    result = torch.full((steps,), end, dtype=torch.float64)
    if name != "constant":
        warm = steps * int(name.removeprefix("warmup")) // 100
        result[:warm] = torch.linspace(start, end, warm, dtype=torch.float64)
    return result


class Schedule:
    """γ of every step, and what training draws from it.

    Args:
        name: see `betas`.
        steps: T.
        start: β of the first step.
        end: β of the last step.

    Attributes:
        gammas: T values in (0, 1], never rising; float32, the product taken in float64.

    Raises:
        OptionError: as `betas`; also if γ falls so low that float32 holds it as 0.
    """

    def __init__(
        self,
        name: ScheduleName = "linear",
        steps: Annotated[int, Field(ge=2)] = 1000,
        start: Annotated[float, Field(gt=0, lt=1)] = 1e-6,
        end: Annotated[float, Field(gt=0, lt=1)] = 1e-2,
    ) -> None:
        self.name = name
        self.steps = steps
        self._betas = betas(name, steps, start, end)
        self._gammas = torch.cumprod(1 - self._betas, 0)
        self.gammas = self._gammas.float()
        if self.gammas[-1] < torch.finfo(torch.float32).tiny:
            raise OptionError(
                f"noise schedule {name!r}: nothing is left of the image after {steps} steps up to "
                f"β={end}; lower steps or end"
            )

    def sample_gamma(self, t: Tensor, position: Tensor) -> Tensor:
        """A continuous noise level between two neighbouring steps.

        (γ[t] − γ[t−1]) · position + γ[t−1] (Chen et al. 2021, WaveGrad, algorithm 1).

        Args:
            t: B 0-based step indices in 1 … T−1, int64.
            position: B×1 in [0, 1]; 0 gives γ[t−1], 1 gives γ[t].

        Returns:
            γ, B×1, float32, on the device of `t`.

        Raises:
            ValueError: an index outside 1 … T−1 (0 would wrap around to the last step).
        """
        if t.numel() and not 1 <= int(t.min()) <= int(t.max()) < self.steps:
            raise ValueError(f"step indices must lie in 1 … {self.steps - 1}, got {t.tolist()}")
        gammas = self.gammas.to(t.device)
        before, after = gammas[t - 1].unsqueeze(1), gammas[t].unsqueeze(1)
        return (after - before) * position + before

    @staticmethod
    def noisy(clean: Tensor, gamma: Tensor, noise: Tensor) -> Tensor:
        """The clean image under noise level γ: √γ · clean + √(1 − γ) · noise.

        Args:
            clean: B×C×H×W.
            gamma: B×1 in [0, 1].
            noise: standard normal, the shape of `clean`.
        """
        gamma = gamma.view(-1, 1, 1, 1)
        return gamma.sqrt() * clean + (1 - gamma).sqrt() * noise

    def buffers(self) -> dict[str, Tensor]:
        """The tables a published checkpoint carries beside its weights, T float32 values each.

        Ho et al. 2020: the estimate of the clean image is √(1/γ) · x − √(1/γ − 1) · ε (eq. 15);
        the posterior of the previous step has mean coef1 · clean + coef2 · x and variance
        β · (1 − γ_prev) / (1 − γ) (eq. 7), whose logarithm is clipped as the first variance is 0.
        """
        beta, gamma = self._betas, self._gammas
        previous = torch.cat([gamma.new_ones(1), gamma[:-1]])
        variance = beta * (1 - previous) / (1 - gamma)
        tables = {
            "gammas": gamma,
            "sqrt_recip_gammas": (1 / gamma).sqrt(),
            "sqrt_recipm1_gammas": (1 / gamma - 1).sqrt(),
            "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
            "posterior_mean_coef1": beta * previous.sqrt() / (1 - gamma),
            "posterior_mean_coef2": (1 - previous) * (1 - beta).sqrt() / (1 - gamma),
        }
        return {key: table.float() for key, table in tables.items()}
