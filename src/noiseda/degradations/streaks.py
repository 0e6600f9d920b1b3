"""Streaks of falling drops, drawn row by row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# values computed at a time: a photo of many megapixels has hundreds of thousands of streaks
_CHUNK = 2_000_000
# a Gaussian of this standard deviation stands for the area of a pixel
_PIXEL = 0.29
_FWHM = 2.3548


@dataclass(frozen=True)
class Streaks:
    """N streaks: straight lines with a Gaussian cross-section that fade toward both ends.

    Attributes:
        row, column: N centres, in pixels; they may lie outside the image.
        length: N, in pixels, above 0.
        width: N, full width at half maximum, in pixels, above 0.
        angle: N, from the vertical, in radians, between −π/3 and π/3; positive leans the lower end
            to the right.
        brightness: N, in the middle of a streak as wide as a pixel or wider; a thinner one is
            fainter, as it covers its pixels in part.
    """

    row: Tensor
    column: Tensor
    length: Tensor
    width: Tensor
    angle: Tensor
    brightness: Tensor


def draw(streaks: Streaks, height: int, width: int) -> Tensor:
    """The sum of all streaks, H×W float32, at least 0; on the CPU."""
    plane = torch.zeros(height * width + 1)
    count = len(streaks.row)
    if not count:
        return plane[:-1].view(height, width)
    cosine = streaks.angle.cos()
    reach = (streaks.length / 2 * cosine).clamp(min=0.5)
    thin = streaks.width / _FWHM
    sigma = (thin.square() + _PIXEL**2).sqrt()
    peak = streaks.brightness * thin / sigma
    slope = streaks.angle.tan()
    rows = math.ceil(2 * float(reach.max())) + 1
    side = math.ceil(2.5 * float((sigma / cosine).max()))
    down, across = torch.arange(rows), torch.arange(-side, side + 1)
    step = max(1, _CHUNK // (rows * len(across)))
    for first in range(0, count, step):
        part = slice(first, first + step)
        # N×rows: the scan lines that a streak crosses, and where
        line = (streaks.row[part] - reach[part]).ceil()[:, None] + down
        below = line - streaks.row[part, None]
        centre = streaks.column[part, None] + below * slope[part, None]
        fade = (1 - (below / reach[part, None]) ** 4).clamp_(min=0) * peak[part, None]
        # N×rows×columns
        pixel = centre.round()[..., None] + across
        away = (pixel - centre[..., None]) * (cosine / sigma)[part, None, None]
        value = fade[..., None] * away.square_().mul_(-0.5).exp_()
        inside = (pixel >= 0) & (pixel < width) & ((line >= 0) & (line < height))[..., None]
        # what is outside goes to one place more
        index = torch.where(inside, line[..., None] * width + pixel, height * width)
        plane.index_add_(0, index.long().flatten(), value.flatten())
    return plane[:-1].view(height, width)
