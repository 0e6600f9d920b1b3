"""One place for what surrounds a raw network: value range, size rule and global skip."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from noiseda.networks.blind_spot import BlindSpot
from noiseda.networks.resampling import pad_to_multiple
from noiseda.networks.spec import Place, Spec, ValueRange
from noiseda.networks.unet import UNet
from noiseda.registry import Registry

BODIES: Registry[nn.Module] = Registry("network")
BODIES.register("unet")(UNet)
BODIES.register("blind-spot")(BlindSpot)


class RestorationNetwork(nn.Module):
    """A restoration network: B×3×H×W in [0, 1] in, restored image of the same shape out.

    Any size from 1×1 up: the input is reflect-padded at the bottom and right to the network's
    multiple and the result cropped. The output is not clamped.

    Args:
        body: raw network that predicts the residual in its own value range; or, if it says
            `global_skip = False`, the restored image.
        name: its registered name.
        options: its options, all of them, so that the network can be built again.
        value_range: "unit" if the body works on [0, 1], "signed" for [-1, 1].
    """

    def __init__(
        self, body: nn.Module, name: str, options: dict[str, Any], value_range: ValueRange = "unit"
    ) -> None:
        super().__init__()
        self.body = body
        self.name = name
        self.options = {**options, "value_range": value_range}
        self.global_skip: bool = getattr(body, "global_skip", True)
        self.spec = Spec(
            size_multiple=body.size_multiple,  # pyright: ignore[reportArgumentType]
            receptive_radius=body.receptive_radius,  # pyright: ignore[reportArgumentType]
            value_range=value_range,
            parameters=sum(p.numel() for p in body.parameters()),
            bytes_per_pixel=body.bytes_per_pixel,  # pyright: ignore[reportArgumentType]
        )

    @property
    def feature_layer(self) -> nn.Module | None:
        """The layer whose output stands for the image in objectives that compare domains; None if
        the body names none."""
        return getattr(self.body, "feature_layer", None)

    def forward(self, degraded: Tensor, place: Place | None = None) -> Tensor:
        """Restore an image, or, with `place`, the tile of an image that lies there.

        Raises:
            ValueError: the input is not B×3×H×W.
        """
        if degraded.ndim != 4 or degraded.shape[1] != 3:
            raise ValueError(f"expected B×3×H×W, got {tuple(degraded.shape)}")
        height, width = degraded.shape[2:]
        padded = pad_to_multiple(degraded, self.spec.size_multiple)
        if self.spec.value_range == "signed":
            output = self.body(2 * padded - 1, place)
            output = (output if self.global_skip else output + 1) / 2
        else:
            output = self.body(padded, place)
        output = output[..., :height, :width]
        return degraded + output if self.global_skip else output
