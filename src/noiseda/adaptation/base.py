"""What every objective shares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from noiseda.errors import DataError
from noiseda.random import BatchRandom
from noiseda.registry import Registry

OBJECTIVES: Registry[Objective] = Registry("objective")

Batch = Mapping[str, Any]


class Randomness(Protocol):
    """Draws for a batch of B samples; `noiseda.random.BatchRandom` is one."""

    def randint(self, low: int, high: int) -> Tensor: ...
    def rand(self, *shape: int) -> Tensor: ...
    def randn(self, *shape: int) -> Tensor: ...


class Objective(nn.Module):
    """Loss terms of one training step.

    Attributes:
        needs: the images a batch must have, of "clean", "synthetic", "real", "unpaired", "truth".
    """

    needs: ClassVar[tuple[str, ...]] = ("clean", "synthetic")

    @property
    def required(self) -> tuple[str, ...]:
        """`needs`, with what the options add."""
        return self.needs

    @property
    def patch_multiple(self) -> int:
        """Height and width of the batch's images must be multiples of this."""
        return 1

    @abstractmethod
    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        """The named terms; see `forward`."""

    def forward(
        self,
        restorer: nn.Module,
        batch: Batch,
        progress: float = 1.0,
        random: Randomness | torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Compute the loss terms.

        Args:
            restorer: any module from B×3×H×W degraded to restored, in [0, 1]. It must return the
                restored image, not the residual.
            batch: `clean` and `synthetic` (same content), and what else `required` names, each
                B×3×H×W in [0, 1].
            progress: done part of the training, from 0 to 1.
            random: where draws come from; torch's global generator if None.

        Returns:
            Scalars by name; `loss` is the one to minimise, the others are for logging.

        Raises:
            DataError: the batch lacks images that this objective needs.
        """
        missing = [role for role in self.required if role not in batch]
        if missing:
            raise DataError(f"this objective needs {', '.join(missing)} images in each batch")
        if random is None or isinstance(random, torch.Generator):
            random = BatchRandom.from_generator(random, len(batch[self.required[0]]))
        return self.terms(restorer, batch, progress, random)


def charbonnier(restored: Tensor, clean: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of √(d² + ε²): an L1 loss that is smooth at zero (Charbonnier et al. 1994)."""
    return ((restored - clean).square() + epsilon**2).sqrt().mean()
