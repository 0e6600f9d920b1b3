"""Noise predictor "guided": the U-Net of Dhariwal & Nichol 2021, conditioned on γ.

Dhariwal & Nichol, *Diffusion Models Beat GANs on Image Synthesis*, section 3 and appendix C:
residual blocks that resample, γ entering as scale and shift of a GroupNorm, multi-head attention.
Parameter names are the published ones, so that published weights load strictly.
"""

from __future__ import annotations

import math
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


def group_norm(channels: int) -> nn.GroupNorm:
    """32 groups as published; fewer for layers narrower than 32 or not divisible by 32."""
    groups = math.gcd(32, channels) if channels >= 32 else grouped_in_pairs(channels)
    return nn.GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    """norm, SiLU, (resample), conv; scale and shift by γ; SiLU, dropout, conv; plus the input.

    Args:
        resample: "down" averages 2×2 pixels, "up" repeats each pixel 2×2, both in the branch and
            on the input that is added.
    """

    def __init__(
        self, inside: int, outside: int, embedding: int, dropout: float, resample: str = ""
    ) -> None:
        super().__init__()
        self.resample = resample
        self.in_layers = nn.Sequential(
            group_norm(inside), nn.SiLU(), nn.Conv2d(inside, outside, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * outside))
        self.out_layers = nn.Sequential(
            group_norm(outside),
            nn.SiLU(),
            nn.Dropout(dropout),
            zero(nn.Conv2d(outside, outside, 3, padding=1)),
        )
        same = inside == outside
        self.skip_connection = nn.Identity() if same else nn.Conv2d(inside, outside, 1)

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample else x

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        branch = self.in_layers[2](self._resampled(self.in_layers[1](self.in_layers[0](x))))
        scale, shift = self.emb_layers(embedding)[:, :, None, None].chunk(2, dim=1)
        branch = torch.addcmul(shift, self.out_layers[0](branch), 1 + scale)
        branch = self.out_layers[3](self.out_layers[2](self.out_layers[1](branch)))
        # a convolution keeps its input for the backward pass, not its output: in place is safe
        return branch.add_(self.skip_connection(self._resampled(x)))


class Attention(nn.Module):
    """Multi-head attention over all pixels, added to its input."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        head_channels = min(head_channels, channels)
        if channels % head_channels:
            raise OptionError(
                f"noise predictor 'guided': head_channels={head_channels} does not divide an "
                f"attention of {channels} channels; choose a divisor of {channels}"
            )
        self.heads = channels // head_channels
        self.norm = group_norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return attend(x, self.norm, self.qkv, self.proj_out, self.heads)


class Stage(nn.ModuleList):
    """Layers one after the other, the residual blocks among them given γ's embedding."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResidualBlock) else layer(x)
        return x


class Guided(NoisePredictor):
    """U-Net with one resampling residual block between levels; see `NoisePredictor`.

    γ enters as [cos a, sin a], a_i = γ · 10000^(−i / half), half = base / 2, followed by two linear
    layers of 4 · base channels. The last convolution of the network, of each residual block and of
    each attention starts at zero: the untrained network predicts 0. The defaults are the paper's
    network: 62.6 M parameters, 51.5 GMACs at 128×128.

    Args:
        base: channels at full size times the first multiplier; even.
        multipliers: width of each level relative to `base`; each level halves height and width.
        blocks: residual blocks per level on the way down; one more on the way up.
        dropout: probability inside the residual blocks.
        head_channels: channels per attention head; a narrower attention has a single head.
        attention: downsampling rates (1, 2, 4 … for levels 0, 1, 2 …) with attention after each
            residual block. The middle always attends.
        in_channels: noisy image and conditions.
        out_channels: predicted noise.

    Raises:
        OptionError: an attention rate that no level has, or heads that do not divide the channels.
    """

    kind = "guided"

    def __init__(
        self,
        base: Annotated[int, Field(ge=2, le=1024, multiple_of=2)] = 64,
        multipliers: Multipliers = (1, 2, 4, 8),
        blocks: Annotated[int, Field(ge=1, le=16)] = 2,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        head_channels: Annotated[int, Field(ge=1)] = 32,
        attention: tuple[Annotated[int, Field(ge=1)], ...] = (),
        in_channels: Annotated[int, Field(ge=1)] = 9,
        out_channels: Annotated[int, Field(ge=1)] = 3,
    ) -> None:
        super().__init__()
        self.base = base
        self.size_multiple = 2 ** (len(multipliers) - 1)
        attended = attended_levels(self.kind, attention, len(multipliers))
        wide = widths(base, multipliers)
        embedding = 4 * base

        def block(inside: int, outside: int, resample: str = "") -> ResidualBlock:
            return ResidualBlock(inside, outside, embedding, dropout, resample)

        self.cond_embed = nn.Sequential(
            nn.Linear(base, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        now = wide[0]
        self.input_blocks = nn.ModuleList([Stage([nn.Conv2d(in_channels, now, 3, padding=1)])])
        skips = [now]
        for level, channels in enumerate(wide):
            for _ in range(blocks):
                stage = Stage([block(now, channels)])
                if level in attended:
                    stage.append(Attention(channels, head_channels))
                self.input_blocks.append(stage)
                now = channels
                skips.append(now)
            if level < len(wide) - 1:
                self.input_blocks.append(Stage([block(now, now, "down")]))
                skips.append(now)

        self.middle_block = Stage([block(now, now), Attention(now, head_channels), block(now, now)])

        self.output_blocks = nn.ModuleList()
        for level in reversed(range(len(wide))):
            for index in range(blocks + 1):
                stage = Stage([block(now + skips.pop(), wide[level])])
                now = wide[level]
                if level in attended:
                    stage.append(Attention(now, head_channels))
                if level and index == blocks:
                    stage.append(block(now, now, "up"))
                self.output_blocks.append(stage)
        self.out = nn.Sequential(
            group_norm(now), nn.SiLU(), zero(nn.Conv2d(now, out_channels, 3, padding=1))
        )

    def predict(self, images: Tensor, gamma: Tensor) -> Tensor:
        angles = frequencies(gamma, self.base)
        features = torch.cat([angles.cos(), angles.sin()], dim=1)
        embedding = self.cond_embed(features.to(images.dtype))
        skips: list[Tensor] = []
        x = images
        for stage in self.input_blocks:
            x = stage(x, embedding)
            skips.append(x)
        x = self.middle_block(x, embedding)
        for stage in self.output_blocks:
            x = stage(torch.cat([x, skips.pop()], dim=1), embedding)
        return self.out(x)


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Options of `Guided` from the shapes of its weights; head_channels and dropout leave no trace.

    Raises:
        KeyError: a weight the reading needs is missing.
    """
    stages = [key.split(".") for key in state if key.endswith("in_layers.2.weight")]
    outputs = {int(name[1]) for name in stages if name[0] == "output_blocks"}
    # on the way up, a second residual block in a stage is the one that enlarges: one per step
    levels = 1 + sum(name[0] == "output_blocks" and name[2] != "0" for name in stages)
    blocks = len(outputs) // levels - 1
    base = state["cond_embed.0.weight"].shape[1]
    first = [1 + level * (blocks + 1) for level in range(levels)]
    outside = [state[f"input_blocks.{index}.0.in_layers.2.weight"].shape[0] for index in first]
    return {
        "base": base,
        "multipliers": tuple(channels // base for channels in outside),
        "blocks": blocks,
        "attention": tuple(
            2**level
            for level, index in enumerate(first)
            if f"input_blocks.{index}.1.qkv.weight" in state
        ),
        "in_channels": state["input_blocks.0.0.weight"].shape[1],
        "out_channels": state["out.2.weight"].shape[0],
    }
