"""Motion blur: the camera moved while the shutter was open."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from noiseda.degradations import curves
from noiseda.degradations.base import DEGRADATIONS, Degradation, ordered, uniform
from noiseda.degradations.kernels import blur, shaken_path, taps
from noiseda.random import BatchRandom

Length = Annotated[float, Field(ge=0, le=300)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=1, le=100)]
Sigma = Annotated[float, Field(ge=0, le=255)]

# mean linear light of the colours above which a pixel may have been brighter than was recorded
_CLIPPING = 0.9


@DEGRADATIONS.register("motion-blur")
class MotionBlur(Degradation):
    """x = sRGB(min(1, k ∗ h(y_lin))) + σ/255 · n: the light that reaches a pixel is the mean over
    the exposure.

    The kernel k is a random path of the picture across the sensor (see `kernels.shaken_path`), not
    negative, with the sum 1 and centred. It acts on linear light, where averages over time are
    physical: a bright lamp leaves a bright streak. What lies beyond the border is the picture
    mirrored, so that no edge darkens; training crops bring their surroundings (`margin`).

    A clean photo has clipped its highlights. h takes them back to h times their brightness before
    the blur; afterwards they are clipped again, and lamps leave streaks as white as themselves.

    Args:
        length: range of the path's length in pixels, uniform.
        path: "linear" for straight at constant speed; "curved" for turning and changing speed;
            "random" for either with equal chance.
        shake: range of how much curved paths turn, uniform; see `kernels.shaken_path`.
        highlights: range of the factor h for pixels that are white, uniform; (1, 1) for none.
        noise: range of the standard deviation σ of Gaussian noise afterwards, in units of 1/255,
            uniform.

    The result is in [0, 1]; input outside is clamped first.
    """

    task = "deblur"

    def __init__(
        self,
        length: Annotated[tuple[Length, Length], AfterValidator(ordered)] = (2.0, 30.0),
        path: Literal["random", "linear", "curved"] = "random",
        shake: Annotated[tuple[Share, Share], AfterValidator(ordered)] = (0.2, 1.0),
        highlights: Annotated[tuple[Factor, Factor], AfterValidator(ordered)] = (1.0, 1.0),
        noise: Annotated[tuple[Sigma, Sigma], AfterValidator(ordered)] = (0.0, 0.0),
    ) -> None:
        self.length = length
        self.path = path
        self.shake = shake
        self.highlights = highlights
        self.noise = noise

    @property
    def margin(self) -> int:
        return math.ceil(self.length[1] / 2) + 1

    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        device = clean.device
        draws = random.rand(5, 1, 1, 1).unbind(1)
        lengths = uniform(draws[0], self.length).flatten().tolist()
        curved = draws[1] < {"linear": 0.0, "curved": 1.0, "random": 0.5}[self.path]
        shakes = (uniform(draws[2], self.shake) * curved).flatten().tolist()
        factor, sigma = uniform(draws[3], self.highlights), uniform(draws[4], self.noise) / 255
        light = curves.srgb_to_linear(clean.clamp(0, 1))
        if self.highlights[1] > 1:
            white = (light.mean(1, keepdim=True) - _CLIPPING).clamp_(min=0) / (1 - _CLIPPING)
            light = light * (1 + (factor.to(device) - 1) * white.square())
        moved = [
            blur(one, *taps(shaken_path(length, shake, draws)))
            for one, length, shake, draws in zip(
                light, lengths, shakes, random.single(), strict=True
            )
        ]
        image = curves.linear_to_srgb(torch.stack(moved).clamp_(0, 1))
        if self.noise[1] > 0:
            image = image + (sigma * random.randn(*clean.shape[1:])).to(device)
        return image.clamp_(0, 1)
