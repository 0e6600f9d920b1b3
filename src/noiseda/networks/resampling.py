"""Changing an image's size: padding, doubling (exact on a tile of a larger image), and taking it
apart into sub-images of every n-th pixel."""

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


def pad(image: Tensor, height: int, width: int) -> Tensor:
    """Reflect-pad B×C×H×W at the bottom and right to `height`×`width`."""
    for axis, wanted in ((2, height), (3, width)):
        size = image.shape[axis]
        if wanted != size:
            image = image.index_select(axis, reflect_index(size, wanted).to(image.device))
    return image


def phases(images: Tensor, stride: int) -> Tensor:
    """Pixel-shuffle downsampling: the stride² sub-images of every `stride`-th pixel.

    Args:
        images: B×C×H×W, H and W multiples of the stride.
        stride: distance of a sub-image's pixels in the image.

    Returns:
        (B·stride²)×C×(H/stride)×(W/stride); those of one image follow one another.
    """
    if stride == 1:
        return images
    apart = F.pixel_unshuffle(images, stride).unflatten(1, (-1, stride**2))
    return apart.transpose(1, 2).flatten(0, 1)


def interleave(parts: Tensor, stride: int) -> Tensor:
    """The inverse of `phases`."""
    if stride == 1:
        return parts
    together = parts.unflatten(0, (-1, stride**2)).transpose(1, 2).flatten(1, 2)
    return F.pixel_shuffle(together, stride)


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
    """Aligned-corner doubling along one axis of the part at `offset` of a `whole` N samples long.

    Output 2i lies at i − i/(2N−1), between its neighbours i−1 and i; output 2i+1 lies at
    i + (N−1−i)/(2N−1), between i and i+1. The weights are taken in float64: positions in float32
    would be off by 1e-4 in a large image.
    """
    size = image.shape[axis]
    index = torch.arange(offset, offset + size, dtype=torch.float64)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    towards_before = (index / (2 * whole - 1)).to(image).view(shape)
    towards_after = ((whole - 1 - index) / (2 * whole - 1)).to(image).view(shape)
    doubled = [*image.shape]
    doubled[axis] *= 2
    output = torch.empty(
        doubled, dtype=image.dtype, device=image.device, memory_format=torch.channels_last
    )

    def part(of: Tensor, start: int, stop: int | None, step: int = 1) -> Tensor:
        return of[:, :, start:stop:step] if axis == 2 else of[..., start:stop:step]

    # at the ends of the whole the weights are 0; at an inner border the result is not exact
    part(output, 0, 1).copy_(part(image, 0, 1))
    part(output, -1, None).copy_(part(image, -1, None))
    if size > 1:
        before, after = part(image, 0, -1), part(image, 1, None)
        part(output, 2, None, 2).copy_(after.lerp(before, part(towards_before, 1, None)))
        part(output, 1, -1, 2).copy_(before.lerp(after, part(towards_after, 0, -1)))
    return output
