"""Adaptation by the network's own restorations at two scales; no noise predictor, no labels."""

from __future__ import annotations

import copy
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier, scale_of
from noiseda.networks.spec import ValueRange

Weight = Annotated[float, Field(ge=0, le=100)]


def two_scale(restorer: nn.Module, image: Tensor, threshold: float) -> Tensor:
    """A restoration without the coarse noise that the network leaves at full size.

    What photos keep after restoration is mostly coarse: blotches whose grain is larger than that
    of the noise the network was trained on. The same network removes them where it sees the photo
    at half size. With d = down(f(x)) − f(down(x)), what the fine restoration keeps and the coarse
    one removed, the weak part of d is taken out:

        t = f(x) − up(d · exp(−(d / threshold)²))

    so that detail, where d is large, stays as the fine restoration has it.

    Args:
        restorer: from degraded to restored image.
        image: B×3×H×W in [0, 1], H and W even.
        threshold: amplitude of d up to which it is taken for noise, in units of the [0, 1] range.

    Returns:
        B×3×H×W, clamped to [0, 1].
    """
    fine = restorer(image)
    kept = F.avg_pool2d(fine, 2) - restorer(F.avg_pool2d(image, 2))
    weak = kept * torch.exp(-(kept / threshold).square())
    weak = F.interpolate(weak, scale_factor=2, mode="bilinear", align_corners=False)
    return (fine - weak).clamp(0, 1)


def turn(images: Tensor, turns: Tensor) -> Tensor:
    """Each image of the batch (B×C×H×W, square) by its own of the eight flips and rotations.

    Args:
        turns: B integers 0 to 7; quarter turns, and from 4 a flip after them.
    """
    turned = [
        torch.rot90(image, number % 4, (1, 2)).flip([2] if number >= 4 else [])
        for image, number in zip(images, turns.tolist(), strict=True)
    ]
    return torch.stack(turned)


def turn_back(images: Tensor, turns: Tensor) -> Tensor:
    """The inverse of `turn`."""
    # a turn followed by a flip is its own inverse
    return turn(images, torch.where(turns < 4, -turns % 4, turns))


@OBJECTIVES.register("two-scale")
class TwoScale(Objective):
    """A frozen copy of the network as it was at the beginning teaches it on real photos.

    Per step, with the degraded synthetic image x_s, its clean y_s, and a real photo x_r:

    - teacher: t = `two_scale`(f₀, x_r) of the photo in a random one of its eight flips and
      rotations, whose average is better than each (as the loss averages over steps);
    - distillation: Charbonnier(f(x_r), t);
    - re-noising: the teacher's residual x_r − t, turned by a random flip or rotation so that it no
      longer shows the content it was taken from, is laid over t and rounded to 8 bits. The network
      sees the photo's own content with the photo's own noise and a known answer:
      Charbonnier(f(t + turned(x_r − t)), t);
    - loss = Charbonnier(f(x_s), y_s) + distill · distillation + renoise · re-noising.

    Args:
        threshold: of the teacher, see `two_scale`.
        distill, renoise: weights of the two terms.
        value_range: range in which the losses are computed, see `Vanilla`.
    """

    needs = ("clean", "synthetic", "real")

    def __init__(
        self,
        threshold: Annotated[float, Field(gt=0, le=1)] = 0.03,
        distill: Weight = 1.0,
        renoise: Weight = 1.0,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.threshold = threshold
        self.distill = distill
        self.renoise = renoise
        self.scale = scale_of(value_range)
        self.teacher: nn.Module | None = None

    @property
    def patch_multiple(self) -> int:
        return 2

    def attach(self, restorer: nn.Module) -> None:
        self.teacher = copy.deepcopy(restorer).eval().requires_grad_(False)

    @torch.no_grad()
    def teach(self, real: Tensor, random: Randomness) -> Tensor:
        """The teacher's restoration of B×3×H×W real photos."""
        teacher = self.attached(self.teacher)
        turns = random.randint(0, 8)
        return turn_back(two_scale(teacher, turn(real, turns), self.threshold), turns)

    @torch.no_grad()
    def noisy_again(self, real: Tensor, taught: Tensor, random: Randomness) -> Tensor:
        """The teacher's restorations with their photos' own noise, turned."""
        noise = turn(real - taught, random.randint(1, 8))
        return (taught + noise).clamp(0, 1).mul(255).round().div(255)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        real = batch["real"]
        taught = self.teach(real, random)
        inputs = {
            "restoration": (batch["synthetic"], batch["clean"], 1.0),
            "distillation": (real, taught, self.distill),
            "renoising": (self.noisy_again(real, taught, random), taught, self.renoise),
        }
        wanted = {name: part for name, part in inputs.items() if part[2]}
        # one pass, as convolutions run faster on a larger batch
        restored = restorer(torch.cat([image for image, _, _ in wanted.values()]))
        split = restored.split([len(image) for image, _, _ in wanted.values()])
        terms = {
            name: charbonnier(self.scale * image, self.scale * target)
            for (name, (_, target, _)), image in zip(wanted.items(), split, strict=True)
        }
        loss = torch.stack([wanted[name][2] * term for name, term in terms.items()]).sum()
        return {**terms, "loss": loss}
