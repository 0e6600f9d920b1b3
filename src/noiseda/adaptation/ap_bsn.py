"""AP-BSN: a blind-spot network and asymmetric pixel-shuffle downsampling (Lee, Son & Lee, CVPR
2022)."""

from __future__ import annotations

import math
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, scale_of
from noiseda.errors import DataError, OptionError
from noiseda.networks import BlindSpot
from noiseda.networks.spec import ValueRange


@OBJECTIVES.register("ap-bsn")
class APBSN(Objective):
    """A network that cannot see the pixel it predicts learns from noisy photos alone:

    loss = |PD_s⁻¹(f(PD_s(x))) − x|, mean over pixels,

    with pixel-shuffle downsampling PD_s into the s² sub-images of every s-th pixel. The training
    stride is large, so that the noise of neighbours in a sub-image is independent; the network
    restores at its own, smaller stride (see `noiseda.networks.BlindSpot`), and that asymmetry is
    the method. No clean or synthetic image is used.

    Kept of the paper: the network, the loss and the strides, 5 in training and 2 in restoring; its
    random-replacing refinement is the network's option `refinement`. Simplified: the recipe's
    schedule and patch size (the paper's patches are 120×120). Photos are cropped to a multiple of
    both strides. It trains the network "blind-spot" alone, so nothing of a network that was
    trained on synthetic pairs is kept.

    Args:
        stride: of the downsampling while training.
        value_range: range in which the loss is computed: "unit" for [0, 1], "signed" for [-1, 1].

    Raises:
        OptionError: (by `attach`, or when called) the network is not a blind-spot network.
        DataError: (when called) the images are smaller than the stride.
    """

    needs = ("real",)
    own_network = "blind-spot"

    def __init__(
        self, stride: Annotated[int, Field(ge=1, le=16)] = 5, value_range: ValueRange = "unit"
    ) -> None:
        super().__init__()
        self.stride = stride
        self.scale = scale_of(value_range)

    def attach(self, restorer: nn.Module) -> None:
        _body(restorer)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        body, photos = _body(restorer), batch["real"]
        # a size that the network would pad by reflection shows it what it must not see
        multiple = math.lcm(self.stride, body.size_multiple)
        height, width = (size // multiple * multiple for size in photos.shape[2:])
        if not height or not width:
            raise DataError(
                f"objective 'ap-bsn': images of {photos.shape[3]}×{photos.shape[2]} pixels are "
                f"smaller than {multiple}, the multiple of both strides; use a larger data.patch"
            )
        photos = photos[..., :height, :width]
        with body.at_stride(self.stride):
            restored = restorer(photos)
        blind = F.l1_loss(self.scale * restored, self.scale * photos)
        return {"blind": blind, "loss": blind}


def _body(restorer: nn.Module) -> BlindSpot:
    body = getattr(restorer, "body", None)
    if not isinstance(body, BlindSpot):
        raise OptionError(
            "objective 'ap-bsn' needs a network that does not see the pixel it predicts; "
            "set network=blind-spot"
        )
    return body
