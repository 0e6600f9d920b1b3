"""A blind-spot network: what it says of a pixel depends on the pixel's neighbours alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from noiseda.networks.resampling import interleave, phases
from noiseda.networks.spec import Place

# share of pixels replaced by noisy ones in each pass of the refinement, as published
_REPLACED = 0.16
# side of the pattern of replaced pixels, which repeats over the image
_PERIOD = 64


class BlindSpot(nn.Module):
    """The restored image itself, not a residual: B×3×H×W in and out, H and W multiples of
    `size_multiple`. A pixel's output never depends on that pixel's input, so the network can learn
    to denoise from noisy images alone: the noise of one pixel says nothing about that of others.

    The dilated network of Wu et al. (ECCV 2020) in the light form that Lee et al. (AP-BSN, CVPR
    2022) use: a 1×1 convolution; two branches that begin with a convolution without its centre
    (3×3 and 5×5) and go on with residual blocks of dilation 2 and 3, whose steps never lead back
    to the centre; four 1×1 convolutions.

    The noise of photos depends on its neighbours; pixel-shuffle downsampling takes it apart: the
    network works on the stride² sub-images of every stride-th pixel. AP-BSN trains with stride 5
    (see `at_stride` and the objective "ap-bsn") and restores with 2, which keeps more detail.
    Where the image's size is odd, the mirrored row or column at the border is not blind.

    Args:
        width: channels; even.
        depth: residual blocks of each branch.
        stride: of the pixel-shuffle downsampling while restoring; 1 for none.
        refinement: passes of random-replacing refinement: without downsampling, over the restored
            image with 16 % of its pixels noisy again; their mean is the result. 0 for none, 8 as
            published. Here the pattern of the pixels is fixed, so that results repeat.
    """

    origin: ClassVar[str] = "Wu et al., ECCV 2020; Lee et al., CVPR 2022"
    licence: ClassVar[str] = "Apache-2.0"
    usual_parameters: ClassVar[int] = 3_656_131
    # the wrapper must not add the input, which would open the blind spot
    global_skip = False

    def __init__(
        self,
        width: Annotated[int, Field(ge=2, le=1024, multiple_of=2)] = 128,
        depth: Annotated[int, Field(ge=1, le=32)] = 9,
        stride: Annotated[int, Field(ge=1, le=16)] = 2,
        refinement: Annotated[int, Field(ge=0, le=64)] = 0,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.refinement = refinement
        self.head = nn.Sequential(nn.Conv2d(3, width, 1), nn.ReLU(inplace=True))
        self.branches = nn.ModuleList(_branch(dilation, width, depth) for dilation in (2, 3))
        self.tail = nn.Sequential(
            nn.Conv2d(2 * width, width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width // 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 2, width // 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 2, 3, 1),
        )
        self.size_multiple = stride
        reach = 2 + 3 * depth
        self.receptive_radius = reach * stride + (reach if refinement else 0)
        # the head's output, one branch's, and within the other an input, its two convolutions
        self.bytes_per_pixel = 20 * width + 64

    @property
    def feature_layer(self) -> nn.Module:
        """Both branches together, after the first 1×1 convolution."""
        return self.tail[1]

    def forward(self, image: Tensor, place: Place | None = None) -> Tensor:
        restored = interleave(self.blind(phases(image, self.stride)), self.stride)
        if not self.refinement:
            return restored
        total = torch.zeros_like(restored)
        for number in range(self.refinement):
            noisy = _pattern(number, image.shape, place).to(image.device)
            total += self.blind(torch.where(noisy, image, restored))
        return total / self.refinement

    def blind(self, image: Tensor) -> Tensor:
        """The network without downsampling and refinement, for any size."""
        features = self.head(image)
        return self.tail(torch.cat([branch(features) for branch in self.branches], dim=1))

    @contextmanager
    def at_stride(self, stride: int) -> Iterator[None]:
        """Within this context the network works at another stride and does not refine; images
        must be multiples of it."""
        usual = self.stride, self.refinement
        self.stride, self.refinement = stride, 0
        try:
            yield
        finally:
            self.stride, self.refinement = usual


class _CentreMasked(nn.Conv2d):
    """A convolution that does not see the pixel it is for."""

    mask: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, channels, size, padding=size // 2)
        mask = torch.ones(size, size)
        mask[size // 2, size // 2] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight * self.mask, self.bias)


class _Dilated(nn.Module):
    def __init__(self, dilation: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def _branch(dilation: int, width: int, depth: int) -> nn.Sequential:
    """Offsets below the dilation in the first layer, none zero; multiples of it in all others:
    they never add up to zero."""
    return nn.Sequential(
        _CentreMasked(width, 2 * dilation - 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
        *(_Dilated(dilation, width) for _ in range(depth)),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
    )


def _pattern(number: int, shape: torch.Size, place: Place | None) -> Tensor:
    """Which pixels one pass of the refinement replaces: 3×H×W, the same for a tile as for that
    part of the whole."""
    drawn = torch.rand(3, _PERIOD, _PERIOD, generator=torch.Generator().manual_seed(number))
    top, left = (place.top, place.left) if place else (0, 0)
    rows = (torch.arange(shape[2]) + top) % _PERIOD
    columns = (torch.arange(shape[3]) + left) % _PERIOD
    return (drawn < _REPLACED)[:, rows][:, :, columns]
