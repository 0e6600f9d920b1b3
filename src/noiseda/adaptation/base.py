"""What every objective shares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn

from noiseda.errors import DataError, OptionError
from noiseda.networks.spec import ValueRange
from noiseda.random import BatchRandom
from noiseda.registry import Registry

OBJECTIVES: Registry[Objective] = Registry("objective")

Batch = Mapping[str, Any]
Part = TypeVar("Part")


class Randomness(Protocol):
    """Draws for a batch of B samples; `noiseda.random.BatchRandom` is one."""

    def randint(self, low: int, high: int) -> Tensor: ...
    def rand(self, *shape: int) -> Tensor: ...
    def randn(self, *shape: int) -> Tensor: ...


class Objective(nn.Module):
    """Loss terms of one training step.

    Attributes:
        needs: the images a batch must have, of "clean", "synthetic", "real", "unpaired", "truth",
            "taught".
        own_network: name of the only restoration network it can train; None if it can train any.
        rounds: how often, at equal intervals of the training, the targets "taught" are made by
            `teach`; 0 if there are none.
        windows: how many windows of the photos then take their place.
        from_source: whether "clean" images are those of the source; else the "taught" ones, as
            soon as there are some.
        shrink: by which factor at most the "taught" images are shrunk where they are "clean" ones.
        warm_up: share of the training before the first round, in which the network learns from
            synthetic pairs with the photos' measured noise, if that is strong or one that it
            leaves; it goes on from there if that is judged to have made it better, without ground
            truth, and else from where it was before.
        warms_with_photos: whether those pairs show the photos' restorations, shrunk, instead of the
            source; then it is only for noise that the network leaves, and nothing is judged.
    """

    needs: ClassVar[tuple[str, ...]] = ("clean", "synthetic")
    own_network: ClassVar[str | None] = None
    rounds: int = 0
    windows: int = 0
    from_source: bool = True
    shrink: float = 1.0
    warm_up: float = 0.0
    warms_with_photos: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """`needs`, with what the options add."""
        return self.needs

    @property
    def needs_source(self) -> bool:
        """Whether the source's images are needed, be it only before the first targets are made."""
        return self.from_source or (self.warm_up > 0 and not self.warms_with_photos)

    @property
    def patch_multiple(self) -> int:
        """Height and width of the batch's images must be multiples of this."""
        return 1

    def attach(self, restorer: nn.Module) -> None:
        """Make the parts that depend on the restoration network; call it once, before the
        optimiser is made. Most objectives have none.

        Args:
            restorer: the network that will be trained; it is not kept.

        Raises:
            OptionError: the objective cannot be used with this network.
        """

    def teach(self, restorer: nn.Module, photo: Tensor) -> Tensor:
        """The target of a window of a photo, for objectives that need "taught" images.

        Args:
            restorer: the network as it is at the beginning of the round.
            photo: 1×3×H×W in [0, 1], H and W even.

        Returns:
            1×3×H×W in [0, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} makes no targets")

    @staticmethod
    def attached(part: Part | None) -> Part:
        """`part`, which `attach` makes.

        Raises:
            OptionError: it was not made.
        """
        if part is None:
            raise OptionError(
                "this objective depends on the network; call attach(network) on it before making "
                "the optimiser"
            )
        return part

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


def scale_of(value_range: ValueRange) -> float:
    """How many times larger differences are in this range than in [0, 1]."""
    return 2.0 if value_range == "signed" else 1.0


def charbonnier(restored: Tensor, clean: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of √(d² + ε²): an L1 loss that is smooth at zero (Charbonnier et al. 1994)."""
    return ((restored - clean).square() + epsilon**2).sqrt().mean()
