"""Doubling an image's size inside a network, exact on a tile of a larger image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from noiseda.networks.spec import Place


def reflect_index(size: int, wanted: int) -> Tensor:
    """Indices that extend `size` pixels to `wanted` by reflection about the last pixel, going
    back and forth as often as needed (so that one pixel can become any number)."""
    period = max(2 * (size - 1), 1)
    position = torch.arange(wanted) % period
    return torch.minimum(position, period - position) if size > 1 else torch.zeros_like(position)


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Reflect-pad B×C×H×W at the bottom and right so that H and W become multiples."""
    for axis in (2, 3):
        size = image.shape[axis]
        wanted = -(-size // multiple) * multiple
        if wanted != size:
            image = image.index_select(axis, reflect_index(size, wanted).to(image.device))
    return image


def upsample(image: Tensor, mode: str, place: Place | None) -> Tensor:
    """Bilinear upsampling by two.

    Args:
        image: B×C×H×W.
        mode: "half-pixel" (pixel areas aligned; independent of the image's size) or "aligned"
            (corner pixels aligned; output j of a row of 2N samples input at j·(N−1)/(2N−1), so
            positions depend on the size of the whole image).
        place: where `image` lies in the whole; None if it is the whole.

    Returns:
        B×C×2H×2W. Pixels within one input pixel of a tile's inner border are not exact.
    """
    if mode == "half-pixel":
        return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
    if place is None:
        return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=True)
    image = _stretch(image, 2, place.top, place.height)
    return _stretch(image, 3, place.left, place.width)


def _stretch(image: Tensor, axis: int, offset: int, whole: int) -> Tensor:
    """Aligned-corner doubling along one axis of the part at `offset` of a `whole` samples long.
    Positions are computed in float64: in float32 they would be off by 1e-4 in a large image."""
    size = image.shape[axis]
    output = torch.arange(2 * offset, 2 * (offset + size), dtype=torch.float64)
    position = output * (whole - 1) / (2 * whole - 1) - offset
    lower = position.floor()
    weight = (position - lower).to(image)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    index = lower.long()
    below = image.index_select(axis, index.clamp(0, size - 1).to(image.device))
    above = image.index_select(axis, (index + 1).clamp(0, size - 1).to(image.device))
    # in place: at full resolution each of these holds hundreds of megabytes
    return (
        below.lerp_(above, weight.view(shape))
        if not image.requires_grad
        else below.lerp(above, weight.view(shape))
    )
