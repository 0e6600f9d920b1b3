"""Adaptation by the network's own restorations of the photos, for what is no noise."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier, scale_of
from noiseda.adaptation.two_scale import turn, turn_back
from noiseda.networks.spec import ValueRange

Weight = Annotated[float, Field(ge=0, le=100)]

# of `two_scale.turn`: as it is, and mirrored left to right
_TURNS = {"mirror": (0, 4), "all": tuple(range(8))}


@OBJECTIVES.register("self-taught")
class SelfTaught(Objective):
    """The network's own restorations of real photos teach it, in rounds: `two-scale` without what
    holds for noise alone.

    At the beginning of each round the network, as it is then, restores windows of the photos, some
    of them several times over: the target t is the mean of fᵏ(x_r) over those turns of the window
    that the degradation looks the same in. Rain falls downwards, also in a mirror, but not in a
    photo turned by 90°; blur has any direction. Per step, with the degraded synthetic image x_s,
    its clean y_s, and a real photo x_r:

        loss = Charbonnier(f(x_s), y_s) + distill · Charbonnier(f(x_r), t)

    What a target took away is not laid over it again, turned, as `two-scale` does it: blur is no
    difference that could be added, and streaks that were left in a target would be learned from
    as part of it.

    Args:
        turns: the mean is over the photo and its mirror image ("mirror"), or over all eight flips
            and rotations ("all").
        passes: k, how often a window is restored.
        rounds: how often the targets are made, at equal intervals.
        windows: how many windows of 256×256 pixels of the photos are learned from.
        content: what the synthetic pairs show: the "source", clean images, or the "photos", whose
            targets are degraded as the source would be.
        distill: weight of the second term.
        value_range: range in which the losses are computed, see `Vanilla`.
    """

    needs = ("clean", "synthetic", "real", "taught")

    def __init__(
        self,
        turns: Literal["mirror", "all"] = "mirror",
        passes: Annotated[int, Field(ge=1, le=8)] = 1,
        rounds: Annotated[int, Field(ge=1, le=1000)] = 1,
        windows: Annotated[int, Field(ge=1, le=100_000)] = 64,
        content: Literal["source", "photos"] = "source",
        distill: Weight = 1.0,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.turns = _TURNS[turns]
        self.passes = passes
        self.rounds = rounds
        self.windows = windows
        self.from_source = content == "source"
        self.distill = distill
        self.scale = scale_of(value_range)

    @torch.no_grad()
    def teach(self, restorer: nn.Module, photo: Tensor) -> Tensor:
        total = torch.zeros_like(photo)
        for number in self.turns:
            turns = torch.full((len(photo),), number)
            image = turn(photo, turns)
            for _ in range(self.passes):
                image = restorer(image).clamp(0, 1)
            total += turn_back(image, turns)
        return total / len(self.turns)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        clean, taught = self.scale * batch["clean"], self.scale * batch["taught"]
        # one pass, as convolutions run faster on a larger batch
        both = self.scale * restorer(torch.cat([batch["synthetic"], batch["real"]]))
        synthetic, real = both.split([len(clean), len(taught)])
        restoration, distillation = charbonnier(synthetic, clean), charbonnier(real, taught)
        return {
            "restoration": restoration,
            "distillation": distillation,
            "loss": restoration + self.distill * distillation,
        }
