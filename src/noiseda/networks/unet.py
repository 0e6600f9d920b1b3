"""The restoration U-Net of Liao et al. (ICLR 2025), with width and depth as options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from noiseda.networks.resampling import upsample
from noiseda.networks.spec import Place

Upsampling = Literal["aligned", "half-pixel"]

# without gradients a level is computed in this many bands, of at least so many rows: few against
# the 12 rows computed twice, many against the memory and cache that a whole level would take
_BANDS, _BAND_ROWS = 8, 64


class _ConvBlock(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.block(image)


class _UpBlock(nn.Module):
    """Parameters of one step up; `UNet.forward` runs it, so that it can free what it used."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv_up = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.conv_block = _ConvBlock(2 * channels_out, channels_out)


class UNet(nn.Module):
    """Residual of the restored image: B×3×H×W in the network's value range, H and W multiples of
    `size_multiple`; the same shape out, to be added to the input.

    Level i has `width`·2^i channels and two 3×3 convolutions with LeakyReLU 0.2; 2×2 average
    pooling between levels; on the way up, bilinear upsampling and a 3×3 convolution, concatenation
    with the skip, two convolutions; at the end a 3×3 convolution. With the paper's width 64 and
    depth 4: 8.559 M parameters, 12.44 GMACs at 128×128.

    Args:
        width: channels of the first level.
        depth: number of levels.
        upsampling: "aligned" as published: sampling positions depend on the size of the whole
            image; "half-pixel": they do not.
    """

    origin: ClassVar[str] = "Liao et al., ICLR 2025"
    licence: ClassVar[str] = "Apache-2.0"
    usual_parameters: ClassVar[int] = 8_559_171

    def __init__(
        self,
        width: Annotated[int, Field(ge=1, le=1024)] = 64,
        depth: Annotated[int, Field(ge=1, le=8)] = 4,
        upsampling: Upsampling = "aligned",
    ) -> None:
        super().__init__()
        self.upsampling: Upsampling = upsampling
        self.widths = widths = [width * 2**level for level in range(depth)]
        self.down_path = nn.ModuleList(
            _ConvBlock(before, after)
            for before, after in zip([3, *widths[:-1]], widths, strict=True)
        )
        self.up_path = nn.ModuleList(
            _UpBlock(2 * channels, channels) for channels in reversed(widths[:-1])
        )
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        self.size_multiple = 2 ** (depth - 1)
        self.receptive_radius = _receptive_radius(depth, upsampling)
        # without gradients the peak is on the way up to the second level: the skips above it, what
        # it is made from, what it becomes, and a band's intermediate results
        self.bytes_per_pixel = 12 * width + 64

    @property
    def feature_layer(self) -> nn.Module:
        """The deepest level's block."""
        return self.down_path[-1]

    def forward(self, image: Tensor, place: Place | None = None) -> Tensor:
        if torch.is_grad_enabled():
            rows = image.shape[2]
        else:
            rows = max(image.shape[2] // _BANDS // 2 * 2, _BAND_ROWS)
            # a band is a tile: it must know its place even if the image is the whole
            place = place or Place(0, 0, *image.shape[2:])
        skips: list[Tensor] = []
        features = image
        for level, block in enumerate(cast(list[_ConvBlock], self.down_path)):
            if level:
                features = F.avg_pool2d(features, 2)
            channels = self.widths[level]
            features = _in_bands(partial(_down, block, features), features, channels, 2, rows)
            skips.append(features)
        features = skips.pop()
        for block in cast(list[_UpBlock], self.up_path):
            skip = skips.pop()
            at = place.at(2 ** (len(skips) + 1)) if place else None
            last = None if skips else self.last
            step = partial(_up, block, last, self.upsampling, features, skip, at)
            # upsampling spoils two rows at a band's border, each convolution one more
            channels = skip.shape[1] if skips else 3
            features = _in_bands(step, skip, channels, 6, rows)
        return features if self.up_path else self.last(features)


def _down(block: _ConvBlock, features: Tensor, first: int, last: int) -> Tensor:
    """Rows `first` to `last` of one level on the way down."""
    return block(features[:, :, first:last])


def _up(
    block: _UpBlock,
    final: nn.Module | None,
    upsampling: Upsampling,
    deep: Tensor,
    skip: Tensor,
    place: Place | None,
    first: int,
    last: int,
) -> Tensor:
    """Rows `first` to `last`, both even, of one level on the way up."""
    if place:
        place = replace(place, top=place.top + first // 2)
    # one name for every intermediate result: a second reference would keep it alive
    features = upsample(deep[:, :, first // 2 : last // 2], upsampling, place)
    features = block.conv_up(features)
    features = torch.cat([features, skip[:, :, first:last]], dim=1)
    features = block.conv_block(features)
    return final(features) if final else features


def _in_bands(
    compute: Callable[[int, int], Tensor], like: Tensor, channels: int, margin: int, rows: int
) -> Tensor:
    """A level computed band by band, so that its intermediate results, which take twice the memory
    of what is kept and more than a cache holds, never exist as a whole.

    Args:
        compute: gives rows first to last; `margin` rows at an inner border may be wrong.
        like: has the result's batch, height and width.
        channels: of the result.
        margin: overlap of bands; even.
        rows: of a band; even.
    """
    height = like.shape[2]
    if rows >= height:
        return compute(0, height)
    # before any band: allocated among their short-lived buffers it would leave gaps behind
    output = torch.empty(
        (like.shape[0], channels, *like.shape[2:]),
        dtype=like.dtype,
        device=like.device,
        memory_format=torch.channels_last,
    )
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        first, last = max(start - margin, 0), min(stop + margin, height)
        output[:, :, start:stop] = compute(first, last)[:, :, start - first : stop - first]
    return output


def _receptive_radius(depth: int, upsampling: Upsampling) -> int:
    """Farthest input pixel that an output pixel depends on: the interval of needed pixels traced
    backwards through the deepest path, for every position of the output on the coarsest grid."""
    # output p samples between (p − far)/2 and (p − near)/2: with aligned corners it depends on the
    # place in the whole, with half-pixel positions it is always p/2 − 1/4
    far, near = (1.0, 0.0) if upsampling == "aligned" else (0.5, 0.5)
    radius = 0
    for start in range(2 ** (depth - 1)):
        first, last = start - 1, start + 1
        for _ in range(depth - 1):
            first, last = first - 3, last + 3
            first, last = int((first - far) // 2), int((last - near) // 2) + 1
        first, last = first - 2, last + 2
        for _ in range(depth - 1):
            first, last = 2 * first - 2, 2 * last + 1 + 2
        radius = max(radius, start - first, last - start)
    return radius
