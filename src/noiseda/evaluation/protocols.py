"""Named protocols: what exactly is done to two images before and while they are compared.

The same restored image scores differently by different protocols, so a score is only worth
something with its protocol's name beside it. To add one, add a `Protocol` to `PROTOCOLS`: its
`prepare` brings an image into the space of comparison (rounded, luma only, …).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from noiseda.errors import DataError, OptionError, did_you_mean
from noiseda.evaluation import metrics

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """One metric, called with `restored` and `clean` (B×C×H×W), giving B values.

    Args:
        function: computes it.
        label: how tables name it.
        unit: "dB", or empty for a plain number.
        low, high: the range it can take.
        higher_is_better: its direction.
        digits: decimals worth showing.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    label: str
    unit: str = ""
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    digits: int = 4

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        return self.function(restored, clean)


@dataclass(frozen=True)
class Protocol:
    """A way of scoring.

    Args:
        name: what the command line, reports and recipes call it.
        description: exactly what it computes.
        prepare: applied to both images first, B×3×H×W in [0, 1] to B×C×H×W.
        metrics: name to metric; computed on the prepared images.
    """

    name: str
    description: str
    prepare: Callable[[Tensor], Tensor]
    metrics: Mapping[str, Metric] = field(repr=False)

    def score(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """Every metric of every image of the batch.

        Args:
            restored: B×3×H×W, RGB, floating point; values outside [0, 1] are dealt with as the
                description says.
            clean: the same shape, in [0, 1].

        Returns:
            Metric name to B values, float64, never averaged over the batch.

        Raises:
            DataError: the two differ in size.
            ValueError: not B×3×H×W, or not floating point.
        """
        for image in (restored, clean):
            if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
                got = f"{tuple(image.shape)} {image.dtype}"
                raise ValueError(f"expected a floating-point B×3×H×W tensor, got {got}")
        if len(restored) != len(clean):
            raise ValueError(f"{len(restored)} restored images but {len(clean)} clean ones")
        if restored.shape != clean.shape:
            raise DataError(
                f"restored image is {size(restored)} but the clean one {size(clean)}: "
                "compare images of the same size"
            )
        restored, clean = self.prepare(restored), self.prepare(clean)
        return {name: metric(restored, clean) for name, metric in self.metrics.items()}


def size(image: Tensor) -> str:
    """Width × height of a …×H×W tensor, for messages."""
    return f"{image.shape[-1]}×{image.shape[-2]}"


_PSNR = Metric(metrics.psnr, "PSNR", unit="dB", high=float("inf"), digits=2)


def _ssim(window: metrics.Window) -> Metric:
    return Metric(partial(metrics.ssim, window=window), "SSIM", low=-1.0)


_GAUSSIAN = (
    "SSIM with an 11×11 Gaussian window of σ 1.5, K1 0.01, K2 0.03, population covariance, over "
    "the interior without a border of 5 pixels"
)
_LUMA = (
    "RGB, clamped to [0, 1] and rounded to 8 bits, then Y of ITU-R BT.601 in studio swing, "
    "16 + 65.481 R + 128.553 G + 24.966 B with R, G, B in [0, 1], not rounded; PSNR with peak 255; "
    f"{_GAUSSIAN}"
)

PROTOCOLS: dict[str, Protocol] = {
    known.name: known
    for known in (
        Protocol(
            name="rgb",
            description=(
                "RGB, clamped to [0, 1] and rounded to 8 bits; PSNR from the mean squared error "
                f"over all pixels and channels; {_GAUSSIAN}, mean over the three channels "
                "(scikit-image on 8-bit images)"
            ),
            prepare=metrics.to_8_bit,
            metrics={"psnr": _PSNR, "ssim": _ssim(metrics.GAUSSIAN)},
        ),
        Protocol(
            name="y",
            description=_LUMA,
            prepare=metrics.to_luma,
            metrics={"psnr": _PSNR, "ssim": _ssim(metrics.GAUSSIAN)},
        ),
        Protocol(
            name="sidd",
            description=(
                "for blocks of SIDD: RGB, clamped to [0, 1] and rounded to 8 bits, as the blocks "
                "are written, then n/255 as floating point; PSNR as MATLAB's psnr, peak 1, over "
                "all pixels and channels; SSIM as MATLAB's ssim of an H×W×3 array, which it takes "
                "for a volume: 11×11×11 Gaussian window of σ 1.5, also over the channels, "
                "K1 0.01, K2 0.03, population covariance, borders repeated, no crop"
            ),
            prepare=metrics.to_8_bit,
            metrics={"psnr": _PSNR, "ssim": _ssim(metrics.VOLUME)},
        ),
        Protocol(
            name="spa",
            description=f"for SPA, the same as y: {_LUMA}",
            prepare=metrics.to_luma,
            metrics={"psnr": _PSNR, "ssim": _ssim(metrics.GAUSSIAN)},
        ),
        Protocol(
            name="realblur-j",
            description=(
                "for RealBlur-J: RGB, clamped to [0, 1] and rounded to 8 bits, no registration of "
                "the two images; PSNR from the mean squared error over all pixels and channels; "
                "SSIM as scikit-image's defaults: 7×7 window of equal weights, K1 0.01, K2 0.03, "
                "sample covariance, mean over the three channels and the interior without a "
                "border of 3 pixels"
            ),
            prepare=metrics.to_8_bit,
            metrics={"psnr": _PSNR, "ssim": _ssim(metrics.UNIFORM)},
        ),
    )
}


TASK_PROTOCOLS = {"denoise": "rgb", "derain": "y", "deblur": "rgb"}
"""By task, what its benchmarks are commonly reported in."""


def protocol(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        OptionError: there is none; the message names the nearest.
    """
    if name not in PROTOCOLS:
        raise OptionError(f"unknown protocol {name!r}{did_you_mean(name, PROTOCOLS)}")
    return PROTOCOLS[name]
