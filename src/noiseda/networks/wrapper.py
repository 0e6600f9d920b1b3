"""One place for what surrounds a raw network: value range, size rule and global skip."""

from __future__ import annotations

import functools
import json
from typing import Any

from torch import Tensor, nn

from noiseda.networks.blind_spot import BlindSpot
from noiseda.networks.convolutional import DnCNN, NAFNet
from noiseda.networks.resampling import pad
from noiseda.networks.spec import Place, Spec, ValueRange, padded
from noiseda.networks.transformers import Restormer, SwinIR, Uformer
from noiseda.networks.unet import UNet
from noiseda.networks.weightless import bytes_per_pixel, without_memory
from noiseda.networks.zoo import Spandrel
from noiseda.registry import Registry

BODIES: Registry[nn.Module] = Registry("network")
BODIES.register("unet")(UNet)
BODIES.register("blind-spot")(BlindSpot)
BODIES.register("dncnn")(DnCNN)
BODIES.register("nafnet")(NAFNet)
BODIES.register("restormer")(Restormer)
BODIES.register("swinir")(SwinIR)
BODIES.register("uformer")(Uformer)
BODIES.register("spandrel")(Spandrel)

# side of the image by which the memory is found out that a network takes
_PROBE = 128
# bytes for each pixel if it cannot be found out: more than known networks take
_MUCH = 32 * 1024


class RestorationNetwork(nn.Module):
    """A restoration network: B×3×H×W in [0, 1] in, restored image of the same shape out.

    Any size from 1×1 up: the input is reflect-padded at the bottom and right to a size that the
    network takes and the result cropped. The output is not clamped.

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
        self.value_range: ValueRange = value_range
        known: Any = body
        self._sizes: tuple[int, int, bool] = (
            known.size_multiple,
            getattr(body, "minimum_size", 1),
            getattr(body, "square", False),
        )

    @functools.cached_property
    def spec(self) -> Spec:
        """What the network can take. At first use: a network may have to be probed for it."""
        body: Any = self.body
        memory = getattr(body, "bytes_per_pixel", None)
        if memory is None:
            options = {key: value for key, value in self.options.items() if key != "value_range"}
            memory = _probed_memory(json.dumps([self.name, options], sort_keys=True))
        multiple, minimum, square = self._sizes
        return Spec(
            size_multiple=multiple,
            receptive_radius=body.receptive_radius,
            value_range=self.value_range,
            parameters=sum(weight.numel() for weight in body.parameters()),
            bytes_per_pixel=memory,
            minimum_size=minimum,
            square=square,
            tile_margin=getattr(body, "tile_margin", None),
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
        inside = pad(degraded, *padded(height, width, *self._sizes))
        if self.value_range == "signed":
            output = self.body(2 * inside - 1, place)
            output = (output if self.global_skip else output + 1) / 2
        else:
            output = self.body(inside, place)
        output = output[..., :height, :width]
        return degraded + output if self.global_skip else output


@functools.lru_cache
def _probed_memory(described: str) -> int:
    """`Spec.bytes_per_pixel` of a network that does not say it; `described` is its name and its
    options as JSON."""
    name, options = json.loads(described)
    with without_memory():
        body: Any = BODIES.build(name, **options)
    sizes = padded(_PROBE, _PROBE, body.size_multiple, body.minimum_size, body.square)
    try:
        return bytes_per_pixel(body, *sizes)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        # of spandrel's many architectures, one that asks for values on its way
        return _MUCH
