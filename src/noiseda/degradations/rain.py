"""Rain: streaks in several distances, laid over the picture, and haze."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from noiseda.degradations.base import (
    DEGRADATIONS,
    Degradation,
    log_uniform,
    ordered,
    ordered_log,
    uniform,
)
from noiseda.degradations.streaks import Streaks, draw
from noiseda.random import BatchRandom

Length = Annotated[float, Field(ge=1, le=500)]
Width = Annotated[float, Field(ge=0.1, le=20)]
Angle = Annotated[float, Field(ge=-55, le=55)]
Unit = Annotated[float, Field(ge=0, le=1)]
Layers = Annotated[int, Field(ge=1, le=6)]

# of one image: how much lengths, widths and brightnesses of its streaks differ
_LENGTHS, _WIDTHS, _BRIGHTNESSES = (0.6, 1.4), (0.7, 1.3), (0.3, 1.0)


@DEGRADATIONS.register("rain")
class Rain(Degradation):
    """Rain streaks over a picture: x = y' + R ("add") or x = 1 − (1 − y')(1 − R) ("screen"), with
    y' = (1 − h)·y + h·a the picture behind a haze of share h and brightness a.

    R is the sum of n layers, clamped to 1. A drop that falls while the shutter is open is a streak:
    a line with a Gaussian cross-section that fades toward its ends (see `streaks`). Layer k, k from
    0, is (k+1) times as far away: its streaks are that much shorter and thinner and there are
    (k+1)² as many, so that each layer covers an equal part of the picture. The values are those
    of the display, as the rendered sets of the field do it (Yang et al., CVPR 2017: x = y + R;
    screen blending: Luo et al., ICCV 2015), and grey as theirs.

    All ranges are drawn from once a sample; the streaks of a sample differ around that.

    Args:
        length: range of the nearest streaks' mean length in pixels, log-uniform.
        width: range of their mean full width at half maximum in pixels, log-uniform.
        angle: range of the direction in degrees from the vertical, uniform; positive leans the
            lower end to the right.
        spread: standard deviation of single streaks around that direction, in degrees.
        density: range of the part of the picture that each layer covers, log-uniform; a streak
            covers its length times its width. (0, 0) means no streaks.
        intensity: range of the brightness of the brightest streaks, log-uniform.
        layers: range of the number of layers, uniform over the integers from low to high.
        blend: "add", "screen", or "random" for either with equal chance.
        haze: range of h, uniform.

    The result is in [0, 1]; input outside is clamped first.
    """

    task = "derain"

    def __init__(
        self,
        length: Annotated[tuple[Length, Length], AfterValidator(ordered_log)] = (12.0, 60.0),
        width: Annotated[tuple[Width, Width], AfterValidator(ordered_log)] = (1.0, 3.0),
        angle: Annotated[tuple[Angle, Angle], AfterValidator(ordered)] = (-30.0, 30.0),
        spread: Annotated[float, Field(ge=0, le=5)] = 1.5,
        density: Annotated[tuple[Unit, Unit], AfterValidator(ordered_log)] = (0.01, 0.15),
        intensity: Annotated[tuple[Unit, Unit], AfterValidator(ordered_log)] = (0.2, 0.8),
        layers: Annotated[tuple[Layers, Layers], AfterValidator(ordered)] = (1, 3),
        blend: Literal["random", "add", "screen"] = "random",
        haze: Annotated[tuple[Unit, Unit], AfterValidator(ordered)] = (0.0, 0.0),
    ) -> None:
        self.length = length
        self.width = width
        self.angle = angle
        self.spread = spread
        self.density = density
        self.intensity = intensity
        self.layers = layers
        self.blend = blend
        self.haze = haze

    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        device, (height, width) = clean.device, clean.shape[-2:]
        draws = random.rand(3, 1, 1, 1).unbind(1)
        haze, bright = uniform(draws[0], self.haze), uniform(draws[1], (0.7, 1.0))
        screen = draws[2] < {"add": 0.0, "screen": 1.0, "random": 0.5}[self.blend]
        rain = torch.stack([self._rain(one, height, width) for one in random.single()])
        rain, screen = rain[:, None].to(device), screen.to(device)
        picture = clean.clamp(0, 1).lerp(bright.to(device), haze.to(device))
        # under a screen a bright background shows less of the rain
        return (picture + rain * (1 - picture * screen)).clamp_(0, 1)

    def _rain(self, random: BatchRandom, height: int, width: int) -> Tensor:
        """R of one sample, H×W in [0, 1]."""
        draws = random.rand(5)[0]
        length, breadth = log_uniform(draws[0], self.length), log_uniform(draws[1], self.width)
        density = float(log_uniform(draws[2], self.density))
        brightness = log_uniform(draws[3], self.intensity)
        angle = uniform(draws[4], self.angle)
        low, high = self.layers
        rain = torch.zeros(height, width)
        for layer in range(int(random.randint(low, high + 1))):
            scale = 1 / (layer + 1)
            # a streak of which only an end is inside begins this far outside
            longest = float(length) * scale * _LENGTHS[1]
            wide = 3 * float(breadth) * scale + 1
            lean = math.radians(min(abs(float(angle)) + 3 * self.spread, 60))
            tall, broad = height + longest, width + longest * math.sin(lean) + 2 * wide
            expected = density * tall * broad / float(length * breadth * scale**2)
            # N×6; what is left of a whole number is the chance of one more
            count = int(expected + float(random.rand(1)))
            place = random.rand(5, count)[0]
            tilt = random.randn(count)[0]
            rain += draw(
                Streaks(
                    row=place[0] * tall - longest / 2,
                    column=place[1] * broad - (broad - width) / 2,
                    length=length * scale * uniform(place[2], _LENGTHS),
                    width=breadth * scale * uniform(place[3], _WIDTHS),
                    angle=(angle + self.spread * tilt).clamp(-60, 60).deg2rad(),
                    brightness=brightness * uniform(place[4], _BRIGHTNESSES),
                ),
                height,
                width,
            )
        return rain.clamp_(max=1)
