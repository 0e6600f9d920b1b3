"""The restoration U-Net of Liao et al. (ICLR 2025), with width and depth as options."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from noiseda.networks.resampling import upsample
from noiseda.networks.spec import Place

Upsampling = Literal["aligned", "half-pixel"]


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

    def __init__(
        self,
        width: Annotated[int, Field(ge=1, le=1024)] = 64,
        depth: Annotated[int, Field(ge=1, le=8)] = 4,
        upsampling: Upsampling = "aligned",
    ) -> None:
        super().__init__()
        self.upsampling: Upsampling = upsampling
        widths = [width * 2**level for level in range(depth)]
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
        # the peak is at full resolution on the way up: the skip, the upsampled features with
        # twice the channels, and what the convolution makes of them
        self.bytes_per_pixel = 4 * (width * (4 if depth > 1 else 2) + 12)

    def forward(self, image: Tensor, place: Place | None = None) -> Tensor:
        skips: list[Tensor] = []
        features = image
        for level, block in enumerate(self.down_path):
            if level:
                features = F.avg_pool2d(features, 2)
            features = block(features)
            skips.append(features)
        # one name for every intermediate result: in a large image each is hundreds of megabytes
        # and a second reference would keep it alive
        features = skips.pop()
        for block in self.up_path:
            scale = 2 ** len(skips)
            features = upsample(features, self.upsampling, place.at(scale) if place else None)
            features = block.conv_up(features)
            features = torch.cat([features, skips.pop()], dim=1)
            features = block.conv_block(features)
        return self.last(features)


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
