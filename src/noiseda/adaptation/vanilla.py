"""Training on synthetic pairs alone: the baseline every adaptation is measured against."""

from __future__ import annotations

from torch import Tensor, nn

from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier, scale_of
from noiseda.networks.spec import ValueRange


@OBJECTIVES.register("vanilla")
class Vanilla(Objective):
    """Charbonnier loss between the restored synthetic image and its clean counterpart.

    Args:
        value_range: range in which the loss is computed: "unit" for [0, 1], "signed" for [-1, 1]
            (published: "unit" for denoising, "signed" for deraining and deblurring).
    """

    def __init__(self, value_range: ValueRange = "unit") -> None:
        super().__init__()
        self.scale = scale_of(value_range)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        loss = charbonnier(self.scale * restorer(batch["synthetic"]), self.scale * batch["clean"])
        return {"restoration": loss, "loss": loss}
