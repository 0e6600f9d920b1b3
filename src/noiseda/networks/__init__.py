"""Restoration networks: degraded image in, restored image out.

`build(name, **options)` gives a `RestorationNetwork`, whose `spec` says what it can take. The raw
network, its wrapping (value range, padding, global skip) and its place in a larger image are
separate things, see `wrapper`.
"""

from __future__ import annotations

from typing import Any, get_args

from noiseda.errors import OptionError, did_you_mean
from noiseda.networks.averaging import interpolate
from noiseda.networks.blind_spot import BlindSpot
from noiseda.networks.library import MissingExtraError
from noiseda.networks.recognition import recognise
from noiseda.networks.spec import Place, Spec, ValueRange
from noiseda.networks.unet import UNet
from noiseda.networks.weightless import macs, without_memory
from noiseda.networks.wrapper import BODIES, RestorationNetwork

__all__ = [
    "BODIES",
    "BlindSpot",
    "MissingExtraError",
    "Place",
    "RestorationNetwork",
    "Spec",
    "UNet",
    "build",
    "check",
    "interpolate",
    "macs",
    "recognise",
    "sizes",
    "without_memory",
]


def build(name: str, **options: Any) -> RestorationNetwork:
    """A restoration network with fresh weights.

    Args:
        name: "unet" (the paper's, with `width`, `depth`, `upsampling` as options); "blind-spot"
            (for the objective "ap-bsn", see `BlindSpot`); "dncnn", "nafnet", "restormer",
            "swinir", "uformer" (see `convolutional` and `transformers`); "spandrel" (any other
            architecture of that library). All but the first two need the extra "zoo".
        **options: the network's own options; `value_range`: "unit" for a network that works on
            [0, 1] inside, "signed" for [-1, 1] (outside, images are always in [0, 1]); and
            `size`, which stands for a set of options that a network was published with.

    Returns:
        A module from B×3×H×W in [0, 1] to the restored image of the same shape, with `.spec`.

    Raises:
        OptionError: unknown name or option, wrong type, value out of range.
        MissingExtraError: the network comes with the extra "zoo", which is not installed.
    """
    checked = check(name, **options)
    value_range = checked.pop("value_range")
    return RestorationNetwork(BODIES.build(name, **checked), name, checked, value_range)


def check(name: str, **options: Any) -> dict[str, Any]:
    """All options of the network `name`, checked, defaults filled in; see `build`."""
    if "size" in options:
        known = sizes(name)
        size = options.pop("size")
        if size not in known:
            raise OptionError(
                f"network {name!r}: unknown size {size!r}{did_you_mean(str(size), known)}"
            )
        options = {**known[size], **options}
    value_range = options.pop("value_range", "unit")
    if value_range not in get_args(ValueRange):
        hint = did_you_mean(str(value_range), get_args(ValueRange))
        raise OptionError(f"network {name!r}: unknown value_range {value_range!r}{hint}")
    return {**BODIES.options(name, options), "value_range": value_range}


def sizes(name: str) -> dict[str, dict[str, Any]]:
    """The options of each size that the network `name` was published in, by the size's name.

    Raises:
        OptionError: unknown name.
    """
    return getattr(BODIES.part(name), "sizes", {})
