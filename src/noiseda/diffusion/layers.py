"""What the two noise predictors share: normalisation, γ features, attention, size rules."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Annotated, ClassVar, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from noiseda.errors import OptionError

Conv = TypeVar("Conv", nn.Conv1d, nn.Conv2d)

# width of each level relative to the first; more than this is a mistake and takes long to refuse
Multipliers = Annotated[
    tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=8)
]


class NoisePredictor(nn.Module):
    """Base of the noise predictors D: images B×C×H×W and γ B×1 -> noise B×3×H×W.

    Works in the contiguous and in the channels-last memory format and keeps the input's.

    Attributes:
        kind: the name it is registered under.
        size_multiple: height and width must be divisible by it.
    """

    kind: ClassVar[str]
    size_multiple: int

    def forward(self, images: Tensor, gamma: Tensor) -> Tensor:
        """Predict the noise in the noisy image.

        Args:
            images: B×9×H×W, the noisy image and the two conditions side by side.
            gamma: B×1 in (0, 1], the share of signal in the noisy image.

        Returns:
            B×3×H×W.

        Raises:
            OptionError: H or W is not divisible by `size_multiple`.
        """
        height, width = images.shape[-2:]
        if height % self.size_multiple or width % self.size_multiple:
            raise OptionError(
                f"noise predictor {self.kind!r}: a patch of {height}×{width} is not divisible by "
                f"{self.size_multiple}; choose a patch size that is a multiple of "
                f"{self.size_multiple}"
            )
        return self.predict(images, gamma)

    def predict(self, images: Tensor, gamma: Tensor) -> Tensor:
        raise NotImplementedError


def attended_levels(kind: str, rates: Collection[int], levels: int) -> set[int]:
    """Levels (0 is full size) that the downsampling rates name.

    Raises:
        OptionError: a rate that no level has; nothing would attend there.
    """
    valid = [2**level for level in range(levels)]
    for rate in rates:
        if rate not in valid:
            raise OptionError(
                f"noise predictor {kind!r}: attention at downsampling rate {rate} matches none of "
                f"its {levels} levels; choose among {', '.join(map(str, valid))}"
            )
    return {valid.index(rate) for rate in rates}


def grouped_in_pairs(channels: int) -> int:
    """32 groups, or fewer so that every group has at least two channels.

    A group of one channel subtracts that channel's mean, and with it whatever a convolution's bias
    or the noise level's embedding has added to the channel.
    """
    return math.gcd(32, max(channels // 2, 1))


def zero(conv: Conv) -> Conv:
    """Set weights and bias to 0, so that a residual branch starts out as the identity."""
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv


def frequencies(gamma: Tensor, width: int) -> Tensor:
    """γ · 10000^(−i / half) for i = 0 … half−1, half = width / 2 (Vaswani et al. 2017, 3.5).

    Args:
        gamma: B×1.
        width: even.

    Returns:
        B×half angles in radians, float32.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=gamma.device) / half
    return gamma.float() * torch.exp(-math.log(10000) * steps)


def attend(
    x: Tensor,
    norm: nn.GroupNorm,
    qkv: nn.Conv1d | nn.Conv2d,
    out: nn.Conv1d | nn.Conv2d,
    heads: int,
) -> Tensor:
    """x + out(attention(qkv(norm(x)))) over all pixels (Vaswani et al. 2017, eq. 1).

    The pixels are the tokens. In the channels-last memory format the image already lies in memory
    as tokens × channels, so the 1×1 convolutions are matrix products and nothing is copied.

    Args:
        x: B×C×H×W.
        qkv: convolution of kernel size 1 to 3C channels, which hold for each head in turn its
            query, key and value.
        out: convolution of kernel size 1 from C to C channels.
        heads: divides C.
    """
    batch, channels, height, width = x.shape
    tokens = norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
    mixed = F.linear(tokens, qkv.weight.flatten(1), qkv.bias)
    split = mixed.view(batch, height * width, heads, 3, channels // heads).permute(3, 0, 2, 1, 4)
    query, key, value = split.unbind(0)
    mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    result = F.linear(mixed.reshape(tokens.shape), out.weight.flatten(1), out.bias)
    return x + result.view(batch, height, width, channels).permute(0, 3, 1, 2)


def widths(base: int, multipliers: Sequence[int]) -> list[int]:
    """Channels of every level."""
    return [base * multiplier for multiplier in multipliers]
