"""How much the error of two restorations of a photo differs, without its ground truth.

With y = x + n, n of covariance Σ, the mean squared error of a restoration f(y) is

    E‖f(y) − x‖² = E‖f(y) − y‖² + 2 tr(Σ ∂f/∂y) − tr Σ

(Stein's unbiased risk estimate; Stein 1981, for correlated noise Eldar 2009). It is exact for
Gaussian noise, and to first order for any other. tr(Σ ∂f/∂y) = E[bᵀ (∂f/∂y) b] for b drawn like n
(Ramani et al. 2008). Between two networks tr Σ falls out, and with the same b for both most of the
chance, so that what has to be known is Σ. (The error of a single network is known less well.) Its
shape (how strong at which brightness, how neighbours and colours correlate) is measured in flat
areas of the photos. Its strength, on which the sign of a small difference hangs, is checked by the
networks themselves: with q = tr(Σ ∂f/∂y) / tr Σ, the share of the noise that a restoration keeps,
Stein's equation solved for the noise says

    tr Σ = E‖f(y) − y‖² / (1 − q)

for a restoration whose error is tr(Σ ∂f/∂y), as that of the best one is. It needs no flat areas,
and fine texture, which those take for noise, hardly counts.

Where noise is cut off at black or white it has a mean, which the photo does not tell: a camera that
cuts it off before it develops the picture brightens dark places by more than the noise that is left
there would say. Such places are not judged. Strong noise that was developed with a concave curve
may have a mean elsewhere, too. Where something tells it, as a start model that knows such noise
does (`network_offset`), it is taken off y before anything else.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from noiseda.degradations import Degradation

Restore = Callable[[Tensor], Tensor]
# of the drawn noise, by which the photo is moved to both sides: small enough that networks are
# nearly linear in between, large enough for float32
_STEP = 0.2
# of the noise a restoration takes away at least so much, else it tells nothing of it
_TAKEN = 0.05
# σ, by which a place must be away from black and white
_AWAY = 2.0
# of the level of noise in a place: draws, and pixels to each side over which it is averaged
_LEVEL_DRAWS, _LEVEL_REACH = 4, 4
# of a cell's values, that must be judged, else it is left out
_LEAST_SHARE = 0.25


@dataclass(frozen=True)
class Risk:
    """Estimated mean squared errors in cells of one photo, of those N that could be judged; values
    in [0, 1] squared.

    Attributes:
        least: N, of the first network's restoration: tr(Σ ∂f/∂y), which is the error of the best
            restoration there is and near that of a good one. It does not hang on small differences
            of large numbers, as Stein's estimate of a single network does.
        start: N, of the first network's restoration, by Stein's estimate.
        change: N, of the second one's minus the first one's, by Stein's estimate.
    """

    least: np.ndarray
    start: np.ndarray
    change: np.ndarray

    @property
    def error(self) -> float:
        """Of the first network in the whole photo. Stein's estimate alone may be near zero or below
        it, `least` alone lacks what the network is biased by."""
        return float(max(self.least.mean(), self.start.mean()))


@torch.no_grad()
def risk(
    start: Restore,
    adapted: Restore,
    photo: Tensor,
    noise: Degradation,
    generator: torch.Generator,
    draws: int = 2,
    cell: int = 64,
    mean: Restore | None = None,
) -> Risk:
    """Estimate the error of two networks on a photo.

    Args:
        start, adapted: from 1×3×H×W in [0, 1] to the restored image; not rounded.
        photo: 1×3×H×W in [0, 1], H and W at least `cell`.
        noise: lays noise like the photo's over a clean image, but for its strength, without
            clamping.
        generator: of the drawn noise.
        draws: of noise; more make the estimate steadier.
        cell: height and width of cells, in pixels; what is left at the borders is not used.
        mean: of the photo's noise in each place, given the clean image; zero if None.
    """
    networks = (start, adapted)
    restored = [network(photo) for network in networks]
    # the noise depends on the brightness of the clean image, of which this is an estimate
    clean = restored[0].clamp(0, 1)
    centred = photo if mean is None else photo - mean(clean)
    removed = [(image - centred).square() for image in restored]
    level = _level(clean, noise, generator)

    def traced(scale: float, draws: int) -> tuple[list[Tensor], Tensor, Tensor, float]:
        """tr(Σ ∂f/∂y) of both networks and tr Σ, by pixel and colour; which of these are judged;
        and by which factor Σ is wrong."""
        away = _AWAY * scale * level
        judged = ((clean >= away) & (clean <= 1 - away)).to(photo)
        traces = [torch.zeros_like(photo) for _ in networks]
        power = torch.zeros_like(photo)
        for _ in range(draws):
            shift = (clean + scale * (noise(clean, generator) - clean)).clamp(0, 1) - clean
            power += shift.square() / draws
            for network, trace in zip(networks, traces, strict=True):
                moved = network(photo + _STEP * shift) - network(photo - _STEP * shift)
                trace += moved * shift / (2 * _STEP * draws)
        means = [[_mean(one, judged) for one in part] for part in (removed, traces)]
        return traces, power, judged, _strength(_mean(power, judged), *means)

    *_, factor = traced(1.0, 1)
    # of stronger noise more is cut off, so it is drawn anew
    traces, power, judged, factor = traced(factor**0.5, draws)
    first, second = (
        square + factor * (2 * trace - power) for square, trace in zip(removed, traces, strict=True)
    )
    shares = _cells(judged, cell)
    kept = shares >= _LEAST_SHARE
    found = (_cells(judged * one, cell) for one in (factor * traces[0], first, second - first))
    return Risk(*(values[kept] / shares[kept] for values in found))


def _level(clean: Tensor, noise: Degradation, generator: torch.Generator) -> Tensor:
    """σ of the noise in each place and colour."""
    total = torch.zeros_like(clean)
    for _ in range(_LEVEL_DRAWS):
        total += (noise(clean, generator) - clean).square() / _LEVEL_DRAWS
    size = 2 * _LEVEL_REACH + 1
    return F.avg_pool2d(total, size, 1, _LEVEL_REACH, count_include_pad=False).sqrt()


def _mean(values: Tensor, weight: Tensor) -> float:
    """0 if nothing has a weight."""
    return float((values * weight).sum() / weight.sum().clamp(min=1))


def _strength(power: float, removed: Sequence[float], traces: Sequence[float]) -> float:
    """How many times as strong as drawn the photo's noise is, as a variance: the median of what
    was measured and of what either restoration tells, so that one of them may be wrong."""
    if power == 0:
        return 1.0
    told = [power]
    for square, trace in zip(removed, traces, strict=True):
        told.append(square / max(1 - trace / power, _TAKEN))
    return statistics.median(told) / power


def _cells(values: Tensor, cell: int) -> np.ndarray:
    """Means over cells and colours."""
    return F.avg_pool2d(values.mean(1), cell).flatten().double().cpu().numpy()
