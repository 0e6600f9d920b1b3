"""The mean of the photos' noise, as a network knows it.

Noise that a camera cut off at black and developed with a concave curve has a mean, which depends on
the brightness and which photos do not tell: measured in flat areas it is part of their colour. But
a network that was trained on such noise knows it by its look, and takes the mean away with the
noise (studies/adapt compares that with the truth).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from noiseda import runtime
from noiseda.judgement.pieces import pieces

# brightnesses from black to white
_KNOTS = 17
# of each photo a window of so many pixels' height and width
_SIZE = 384
# pixels of a colour near a brightness, fewer of which tell nothing of it
_FEWEST = 2000


@torch.no_grad()
def network_offset(
    network: nn.Module,
    photos: Iterable[np.ndarray],
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Mean of what a network takes away, by the brightness of what it restores.

    Args:
        network: a denoiser that knows noise which has a mean (`measurement.has_mean`), B×3×H×W in
            [0, 1] to the same; a copy is used.
        photos: H×W×3 uint8, with a common noise.
        device: where to compute; the accelerator if there is one.

    Returns:
        3×17 in [0, 1], of R, G and B at brightnesses 0, 1/16 to 1; where hardly a pixel is so
        bright, as at the nearest brightness that is.
    """
    device = torch.device(device) if device is not None else runtime.best_device()
    restore = runtime.fast_layout(copy.deepcopy(network).to(device)).eval()
    weight, total = np.zeros((2, 3, _KNOTS))
    for noisy in pieces(photos, _SIZE, device):
        clean = restore(noisy).clamp(0, 1)
        _add(weight, total, clean[0], (noisy - clean)[0])
    found = np.zeros_like(total)
    knots = np.arange(_KNOTS)
    for channel, known in enumerate(weight >= _FEWEST):
        if known.any():
            mean = total[channel, known] / weight[channel, known]
            found[channel] = np.interp(knots, knots[known], mean)
    return found


def _add(weight: np.ndarray, total: np.ndarray, clean: Tensor, removed: Tensor) -> None:
    """Each pixel counts for the knots on both sides of its brightness, more for the nearer one."""
    low, above = (part.flatten(1).cpu().numpy() for part in _place(clean))
    taken = removed.flatten(1).double().cpu().numpy()
    for channel in range(3):
        for knot, share in ((low[channel], 1 - above[channel]), (low[channel] + 1, above[channel])):
            weight[channel] += np.bincount(knot, share, _KNOTS)
            total[channel] += np.bincount(knot, share * taken[channel], _KNOTS)


def offset_at(offset: np.ndarray, clean: Tensor) -> Tensor:
    """The mean of the noise in each place and colour.

    Args:
        offset: 3×17, of `network_offset`.
        clean: B×3×H×W in [0, 1].
    """
    table = torch.from_numpy(offset).to(clean)
    channel = torch.arange(3, device=clean.device)[:, None, None]
    low, above = _place(clean)
    return torch.lerp(table[channel, low], table[channel, low + 1], above)


def _place(image: Tensor) -> tuple[Tensor, Tensor]:
    """The knot below each value, and how far above it the value is, from 0 to 1."""
    place = image.clamp(0, 1) * (_KNOTS - 1)
    low = place.long().clamp(max=_KNOTS - 2)
    return low, place - low
