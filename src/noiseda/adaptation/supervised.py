"""Training on real photos with their ground truth: what adaptation without it could reach."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier
from noiseda.networks.spec import ValueRange


@OBJECTIVES.register("supervised")
class Supervised(Objective):
    """Charbonnier loss between the restored real photo and its ground truth: the upper bound of a
    comparison. No other objective sees ground truth of real photos.

    loss = Charbonnier(ŷ_r, y_r) + w·Charbonnier(ŷ_s, y_s)

    Args:
        synthetic_weight: w; at 0 the synthetic pair takes no part.
        value_range: range in which the losses are computed: "unit" for [0, 1], "signed" for
            [-1, 1].
    """

    needs = ("real", "truth")

    def __init__(
        self,
        synthetic_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.synthetic_weight = synthetic_weight
        self.value_range = value_range

    @property
    def required(self) -> tuple[str, ...]:
        return (*self.needs, "clean", "synthetic") if self.synthetic_weight else self.needs

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        scale = 2.0 if self.value_range == "signed" else 1.0
        real, truth = batch["real"], batch["truth"]
        if not self.synthetic_weight:
            loss = charbonnier(scale * restorer(real), scale * truth)
            return {"supervised": loss, "loss": loss}
        # both domains in one pass: convolutions run faster on a larger batch
        restored = scale * restorer(torch.cat([real, batch["synthetic"]]))
        restored_real, restored_synthetic = restored.split([len(real), len(batch["synthetic"])])
        supervised = charbonnier(restored_real, scale * truth)
        restoration = charbonnier(restored_synthetic, scale * batch["clean"])
        loss = supervised + self.synthetic_weight * restoration
        return {"supervised": supervised, "restoration": restoration, "loss": loss}
