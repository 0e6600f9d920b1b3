"""Noise predictor "sr3": the U-Net of Saharia et al. 2021, conditioned on γ.

Saharia et al., *Image Super-Resolution via Iterative Refinement*, section 2.4 and appendix A: the
U-Net of Ho et al. 2020 with γ in the place of the step index. Parameter names are the published
ones, so that published weights load strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from noiseda.diffusion.layers import (
    Multipliers,
    NoisePredictor,
    attend,
    attended_levels,
    frequencies,
    grouped_in_pairs,
    widths,
    zero,
)
from noiseda.errors import OptionError


def group_norm(channels: int, groups: int | None) -> nn.GroupNorm:
    """GroupNorm with `groups` groups, see `grouped_in_pairs` if None."""
    groups = groups or grouped_in_pairs(channels)
    if channels % groups:
        raise OptionError(
            f"noise predictor 'sr3': groups={groups} does not divide a layer of {channels} "
            f"channels; leave groups out or choose a divisor of base"
        )
    return nn.GroupNorm(groups, channels)


class NoiseFeatures(nn.Module):
    """γ (B×1) as B×width: [sin a, cos a] with a_i = γ · 10000^(−i / half), half = width / 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, gamma: Tensor) -> Tensor:
        angles = frequencies(gamma, self.width)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class NoiseShift(nn.Module):
    """Adds γ's embedding, one number a channel, to its first argument in place."""

    def __init__(self, embedding: int, channels: int) -> None:
        super().__init__()
        self.noise_func = nn.Sequential(nn.Linear(embedding, channels))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return x.add_(self.noise_func(embedding)[:, :, None, None])


class Block(nn.Module):
    """GroupNorm, SiLU, dropout, 3×3 convolution, which starts at zero if it is a `last` one."""

    def __init__(
        self,
        inside: int,
        outside: int,
        groups: int | None,
        dropout: float = 0,
        last: bool = True,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(inside, outside, 3, padding=1)
        self.block = nn.Sequential(
            group_norm(inside, groups),
            nn.SiLU(),
            nn.Dropout(dropout),
            zero(conv) if last else conv,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class ResidualBlock(nn.Module):
    """Two blocks with γ added between them, plus the input."""

    def __init__(
        self, inside: int, outside: int, embedding: int, groups: int | None, dropout: float
    ) -> None:
        super().__init__()
        self.noise_func = NoiseShift(embedding, outside)
        self.block1 = Block(inside, outside, groups, last=False)
        self.block2 = Block(outside, outside, groups, dropout)
        self.res_conv = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        # both sums are in place on a convolution's output, which no backward pass needs
        branch = self.block2(self.noise_func(self.block1(x), embedding))
        return branch.add_(self.res_conv(x))


class Attention(nn.Module):
    """Single-head attention over all pixels, added to its input."""

    def __init__(self, channels: int, groups: int | None) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return attend(x, self.norm, self.qkv, self.out, heads=1)


class AttendedBlock(nn.Module):
    """A residual block and, if `attends`, an attention after it."""

    def __init__(
        self,
        inside: int,
        outside: int,
        embedding: int,
        groups: int | None,
        dropout: float,
        attends: bool,
    ) -> None:
        super().__init__()
        self.res_block = ResidualBlock(inside, outside, embedding, groups, dropout)
        self.attn = Attention(outside, groups) if attends else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.attn(self.res_block(x, embedding))


class Downsample(nn.Module):
    """3×3 convolution with stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Each pixel repeated 2×2, then a 3×3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class SR3(NoisePredictor):
    """U-Net with strided convolutions between levels; see `NoisePredictor`.

    γ enters through `NoiseFeatures` and two linear layers (base -> 4 · base -> base). The last
    convolution of the network, of each residual block and of each attention starts at zero: the
    untrained network predicts 0. The defaults are the paper's network: 60.7 M parameters and
    45.5 GMACs at 128×128.

    Args:
        base: channels at full size times the first multiplier; even.
        groups: normalisation groups of every layer; must divide `base`. None is 32 for layers of a
            multiple of 64 channels, as in the paper, and fewer for others, so that a group has at
            least two channels: in a group of one channel the noise level has no effect.
        multipliers: width of each level relative to `base`; each level halves height and width.
        blocks: residual blocks per level on the way down; one more on the way up.
        attention: downsampling rates (1, 2, 4 … for levels 0, 1, 2 …) with attention after each
            residual block; None is the deepest level, rate 8 with four levels. The middle always
            attends.
        dropout: probability in the second half of the residual blocks.
        in_channels: noisy image and conditions.
        out_channels: predicted noise.

    Raises:
        OptionError: an attention rate that no level has, or groups that do not divide a layer.
    """

    kind = "sr3"

    def __init__(
        self,
        base: Annotated[int, Field(ge=2, le=1024, multiple_of=2)] = 64,
        groups: Annotated[int, Field(ge=1)] | None = None,
        multipliers: Multipliers = (1, 2, 4, 8),
        blocks: Annotated[int, Field(ge=1, le=16)] = 2,
        attention: tuple[Annotated[int, Field(ge=1)], ...] | None = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        in_channels: Annotated[int, Field(ge=1)] = 9,
        out_channels: Annotated[int, Field(ge=1)] = 3,
    ) -> None:
        super().__init__()
        self.size_multiple = 2 ** (len(multipliers) - 1)
        if attention is None:
            attention = (self.size_multiple,)
        attended = attended_levels(self.kind, attention, len(multipliers))
        wide = widths(base, multipliers)

        def block(inside: int, outside: int, attends: bool) -> AttendedBlock:
            return AttendedBlock(inside, outside, base, groups, dropout, attends)

        self.noise_level_mlp = nn.Sequential(
            NoiseFeatures(base), nn.Linear(base, 4 * base), nn.SiLU(), nn.Linear(4 * base, base)
        )
        now = base
        self.downs = nn.ModuleList([nn.Conv2d(in_channels, now, 3, padding=1)])
        skips = [now]
        for level, channels in enumerate(wide):
            for _ in range(blocks):
                self.downs.append(block(now, channels, level in attended))
                now = channels
                skips.append(now)
            if level < len(wide) - 1:
                self.downs.append(Downsample(now))
                skips.append(now)

        self.mid = nn.ModuleList([block(now, now, True), block(now, now, False)])

        self.ups = nn.ModuleList()
        for level in reversed(range(len(wide))):
            for _ in range(blocks + 1):
                self.ups.append(block(now + skips.pop(), wide[level], level in attended))
                now = wide[level]
            if level:
                self.ups.append(Upsample(now))
        self.final_conv = Block(now, out_channels, groups)

    def predict(self, images: Tensor, gamma: Tensor) -> Tensor:
        features = self.noise_level_mlp[0](gamma).to(images.dtype)
        embedding = self.noise_level_mlp[1:](features)
        skips: list[Tensor] = []
        x = images
        for layer in self.downs:
            x = layer(x, embedding) if isinstance(layer, AttendedBlock) else layer(x)
            skips.append(x)
        for layer in self.mid:
            x = layer(x, embedding)
        for layer in self.ups:
            if isinstance(layer, AttendedBlock):
                x = layer(torch.cat([x, skips.pop()], dim=1), embedding)
            else:
                x = layer(x)
        return self.final_conv(x)


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Options of `SR3` from the shapes of its weights; groups and dropout leave no trace.

    Raises:
        KeyError: a weight the reading needs is missing.
    """
    base, in_channels = state["downs.0.weight"].shape[:2]
    layers = {int(key.split(".")[1]) for key in state if key.startswith("downs.")}
    levels = 1 + sum(f"downs.{index}.conv.weight" in state for index in layers)
    blocks = len(layers) // levels - 1
    first = [1 + level * (blocks + 1) for level in range(levels)]
    outside = [state[f"downs.{i}.res_block.block1.block.3.weight"].shape[0] for i in first]
    return {
        "base": base,
        "multipliers": tuple(channels // base for channels in outside),
        "blocks": blocks,
        "attention": tuple(
            2**level
            for level, index in enumerate(first)
            if f"downs.{index}.attn.qkv.weight" in state
        ),
        "in_channels": in_channels,
        "out_channels": state["final_conv.block.3.weight"].shape[0],
    }
