"""Paths that a picture takes across the sensor while the shutter is open, and blurring by them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from noiseda.random import BatchRandom

# waves that a shaken path is made of: as many half-waves in the exposure, the faster the weaker
_WAVES = 4


def shaken_path(length: float, shake: float, random: BatchRandom) -> Tensor:
    """A random path across the sensor, sampled at equal times.

    The direction is φ₀ + shake·π·w(t) and the speed e^(shake·v(t)), with φ₀ uniform and w and v
    sums of a few sine waves of random strength and phase: a smooth path with changes of direction
    and speed, as a hand makes it (compare Boracchi & Foi, IEEE TIP 2012). Its mean position is 0,
    so that the blurred picture is where the sharp one was.

    Args:
        length: of the path, in pixels.
        shake: 0 for a straight path at constant speed, 1 for one that turns and stops.
        random: of one sample.

    Returns:
        N×2 rows and columns relative to the mean, N about four a pixel.
    """
    count = 4 * math.ceil(length) + 1
    direction = 2 * math.pi * random.rand(1)[0]
    strength = random.randn(2, _WAVES, 1)[0]
    phase = 2 * math.pi * random.rand(2, _WAVES, 1)[0]
    order = torch.arange(1, _WAVES + 1)[:, None]
    time = (torch.arange(count) + 0.5) / count
    wave = (strength / order * torch.sin(math.pi * order * time + phase)).sum(1)
    turn = direction + shake * math.pi * wave[0]
    speed = (shake * wave[1]).exp()
    step = length * speed / speed.sum()
    ends = torch.stack([step * turn.sin(), step * turn.cos()], 1)
    # the middle of each step
    places = ends.cumsum(0) - ends / 2
    return places - places.mean(0)


def taps(path: Tensor) -> tuple[Tensor, Tensor]:
    """The blur kernel of a path, without its zeros: each place is shared by the four pixels around
    it (bilinear).

    Args:
        path: N×2 rows and columns.

    Returns:
        T×2 whole rows and columns, and T weights above 0 with the sum 1.
    """
    corner = path.floor()
    part = path - corner
    reach = int(corner.abs().max()) + 1
    side = 2 * reach + 1
    row, column = (corner + reach).long().unbind(1)
    down, right = part.double().unbind(1)
    index = row * side + column
    kernel = torch.zeros(side * side, dtype=torch.float64)
    kernel.index_add_(
        0,
        torch.cat([index, index + 1, index + side, index + side + 1]),
        torch.cat([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]),
    )
    # in float32 some may become 0
    kernel = (kernel / kernel.sum()).float()
    used = kernel.nonzero()[:, 0]
    places = torch.stack([used // side - reach, used % side - reach], 1)
    return places, kernel[used]


def blur(light: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Σ weight · image moved by place; beyond its border the image is mirrored.

    Args:
        light: C×H×W.
        places, weights: from `taps`.

    Returns:
        C×H×W.
    """
    height, width = light.shape[-2:]
    reach = int(places.abs().max())
    wide = light[:, _mirrored(height, reach)][:, :, _mirrored(width, reach)]
    result = torch.zeros_like(light)
    # a path covers few of the pixels it passes over, so this is faster than a convolution
    for (down, right), weight in zip(places.tolist(), weights.tolist(), strict=True):
        top, left = reach - down, reach - right
        result.add_(wide[:, top : top + height, left : left + width], alpha=weight)
    return result


def _mirrored(size: int, reach: int) -> Tensor:
    """Indices of −reach … size+reach−1, mirrored at the first and last pixel as often as needed."""
    period = max(2 * size - 2, 1)
    index = torch.arange(-reach, size + reach).remainder(period)
    return torch.minimum(index, period - index) if size > 1 else torch.zeros_like(index)
