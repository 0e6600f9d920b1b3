"""What every degradation shares: the call, the registry and ranges to draw levels from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

import torch
from torch import Tensor

from noiseda.errors import OptionError
from noiseda.random import BatchRandom
from noiseda.registry import Registry

Pair = TypeVar("Pair", tuple[float, float], tuple[int, int])


class Degradation(ABC):
    """Makes a degraded image from a clean one.

    An object holds its options and nothing else: no random state, no counters. It can be shared
    between threads and sent to loader workers.

    Attributes:
        task: of the networks that undo it: "denoise", "derain" or "deblur".
        margin: how far away, in pixels, what a pixel becomes still depends on the picture. Training
            samples degrade their crops together with that much of what surrounds them.
    """

    task: str = "denoise"

    @property
    def tasks(self) -> frozenset[str]:
        """All tasks that it serves; more than `task` if it is made of several degradations."""
        return frozenset([self.task])

    @property
    def margin(self) -> int:
        return 0

    @torch.no_grad()
    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade an image, or a batch whose samples each get their own drawn levels.

        A batch of B takes the same draws as B calls in its order.

        Args:
            clean: 3×H×W or B×3×H×W, float32, RGB in [0, 1], H and W at least 1.
            generator: the only source of random numbers; it advances.

        Returns:
            The degraded image: a new float32 tensor of the shape and on the device of `clean`.

        Raises:
            OptionError: `clean` has another shape or type.
        """
        shape = tuple(clean.shape)
        if clean.ndim not in (3, 4) or shape[-3] != 3 or 0 in shape[-2:]:
            raise OptionError(
                f"image to degrade: shape {shape} is not 3×H×W or B×3×H×W; convert it to RGB, "
                "channels first"
            )
        if clean.dtype != torch.float32:
            raise OptionError(
                f"image to degrade: type {clean.dtype} is not float32; convert it to float32 in "
                "[0, 1]"
            )
        # strided input takes other vector paths and could differ in the last bit
        batch = clean.reshape(-1, *shape[-3:]).contiguous()
        if len(batch) == 0:
            return clean.clone()
        return self.degrade(batch, BatchRandom.from_generator(generator, len(batch))).view(shape)

    @abstractmethod
    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        """Degrade a contiguous batch.

        Args:
            clean: B×3×H×W, float32, RGB in [0, 1]; must not be changed.
            random: one generator a sample.

        Returns:
            B×3×H×W, float32.
        """


DEGRADATIONS: Registry[Degradation] = Registry("degradation")


def ordered(levels: Pair) -> Pair:
    """Pydantic validator of a range: low ≤ high."""
    low, high = levels
    if low > high:
        raise ValueError(f"low {low:g} is above high {high:g}; give (low, high)")
    return levels


def ordered_log(levels: Pair) -> Pair:
    """Pydantic validator of a range to draw from log-uniformly: 0 < low ≤ high, or (0, 0)."""
    low, high = ordered(levels)
    if low == 0 and high > 0:
        raise ValueError(
            f"a range on a log scale cannot run from 0 to {high:g}; give a low above 0, or (0, 0)"
        )
    return levels


def uniform(draw: Tensor, levels: tuple[float, float]) -> Tensor:
    """Map draws in [0, 1) to the range, uniformly."""
    low, high = levels
    return low + (high - low) * draw


def log_uniform(draw: Tensor, levels: tuple[float, float]) -> Tensor:
    """Map draws in [0, 1) to the range, uniformly in the logarithm; all 0 for the range (0, 0)."""
    low, high = levels
    if high == 0:
        return torch.zeros_like(draw)
    return low * (high / low) ** draw
