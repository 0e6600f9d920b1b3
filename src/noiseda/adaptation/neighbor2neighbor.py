"""Neighbor2Neighbor: denoising from single noisy images (Huang et al., CVPR 2021)."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.base import (
    OBJECTIVES,
    Batch,
    Objective,
    Randomness,
    charbonnier,
    scale_of,
)
from noiseda.errors import DataError
from noiseda.networks.resampling import phases
from noiseda.networks.spec import ValueRange

# pixels of a 2×2 cell in reading order; the eight ordered pairs that share a side
_PAIRS = ((0, 1), (0, 2), (1, 3), (2, 3), (1, 0), (2, 0), (3, 1), (3, 2))


@OBJECTIVES.register("neighbor2neighbor")
class Neighbor2Neighbor(Objective):
    """Two neighbouring pixels see nearly the same scene with different noise: one is the input's,
    the other the target's. No clean image is needed.

    With sub-samplers g₁, g₂ that take two adjacent pixels of every 2×2 cell, drawn anew for each
    image, and the restoration network f:

    - L_neighbor = mse(f(g₁(x)), g₂(x));
    - L_regulariser = mse(f(g₁(x)) − g₂(x), g₁(f(x)) − g₂(f(x))), with f(x) held fixed: neighbours
      differ a little even without noise;
    - loss = L_neighbor + γ(p)·L_regulariser + supervision·Charbonnier(ŷ_s, y_s), with
      γ(p) = weight·p and the progress p.

    As published, but that training begins with whatever weights the network has. The method
    supposes noise that is independent from pixel to pixel. That of photos is not, after
    demosaicking and compression; two additions for them, both off by default: `downsample` takes
    every so-many-th pixel first, `supervision` keeps the synthetic pairs.

    Args:
        weight: γ at the end of the training (published: 2 for synthetic noise, 16 for raw photos).
        downsample: distance of the pixels that count as neighbours; 1 as published.
        supervision: weight of the restoration loss on synthetic pairs; 0 for none, as published.
        value_range: range in which losses are computed: "unit" for [0, 1], "signed" for [-1, 1].

    Raises:
        DataError: (when called) the images are smaller than one cell.
    """

    needs = ("real",)

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0,
        downsample: Annotated[int, Field(ge=1, le=16)] = 1,
        supervision: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.weight = weight
        self.downsample = downsample
        self.supervision = supervision
        self.scale = scale_of(value_range)

    @property
    def required(self) -> tuple[str, ...]:
        return (*self.needs, "clean", "synthetic") if self.supervision else self.needs

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        real = batch["real"]
        cell = 2 * self.downsample
        height, width = (size // cell * cell for size in real.shape[2:])
        if not height or not width:
            raise DataError(
                f"images of {real.shape[3]}×{real.shape[2]} pixels hold no cell of {cell}×{cell}; "
                "use a larger data.patch or a smaller downsample"
            )
        photos = phases(real[..., :height, :width], self.downsample)
        # the draws of an image are those of all its phases
        shape = (self.downsample**2, *(size // 2 for size in photos.shape[2:]))
        pairs = (random.rand(*shape) * len(_PAIRS)).long().flatten(0, 1).to(photos.device)
        first, second = neighbors(photos, pairs)
        with torch.no_grad():
            fixed = neighbors(restorer(photos), pairs)
        error = self.scale * (restorer(first) - second)
        natural = self.scale * (fixed[0] - fixed[1])
        terms = {
            "neighbor": error.square().mean(),
            "regulariser": F.mse_loss(error, natural),
            "weight": real.new_tensor(self.weight * progress),
        }
        loss = terms["neighbor"] + terms["weight"] * terms["regulariser"]
        if self.supervision:
            restored = restorer(batch["synthetic"])
            terms["restoration"] = charbonnier(self.scale * restored, self.scale * batch["clean"])
            loss = loss + self.supervision * terms["restoration"]
        return {**terms, "loss": loss}


def neighbors(images: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """The sub-samplers g₁ and g₂.

    Args:
        images: B×C×H×W, H and W even.
        pairs: B×(H/2)×(W/2), for each 2×2 cell which of the eight pairs of adjacent pixels.

    Returns:
        Two B×C×(H/2)×(W/2) images of different pixels.
    """
    cells = F.pixel_unshuffle(images, 2).unflatten(1, (-1, 4))
    table = torch.tensor(_PAIRS, device=images.device)
    chosen = table[pairs].movedim(-1, 0)[:, :, None, None]
    chosen = chosen.expand(-1, -1, cells.shape[1], -1, -1, -1)
    first, second = (cells.gather(2, index).squeeze(2) for index in chosen)
    return first, second
