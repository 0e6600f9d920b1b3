"""A test of two networks on photos without ground truth, for degradations that are no noise."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from noiseda.degradations import Degradation
from noiseda.judgement.risk import Restore, Risk


@torch.no_grad()
def redegraded(
    start: Restore,
    adapted: Restore,
    photo: Tensor,
    degradation: Degradation,
    generator: torch.Generator,
    draws: int = 4,
    cell: int = 64,
) -> Risk:
    """Errors of two networks on their own restorations of a photo, degraded anew.

    Both restorations s stand in for the clean photo, in turn, so that neither network is the only
    one that is asked for what it has made itself. Each is degraded, x' = D(s), and restored by both
    networks; their errors are the mean of (f(x') − s)² over both stand-ins and the draws.

    What this tells is how well the networks undo the *synthetic* degradation of what the photos
    show, not how well they undo what is on the photos (see studies/redegradation).

    Args:
        start, adapted: from 1×3×H×W in [0, 1] to the restored image; not rounded.
        photo: 1×3×H×W in [0, 1], H and W at least `cell`.
        degradation: as in the networks' training.
        generator: of its draws, which both networks and stand-ins share.
        draws: of the degradation; more make it steadier.
        cell: height and width of cells, in pixels; what is left at the borders is not used.

    Returns:
        `least` and `start` the first network's error, `change` the second one's minus that.
    """
    networks = (start, adapted)
    stand_ins = [network(photo).clamp(0, 1) for network in networks]
    errors: list[Tensor] = [torch.zeros_like(photo) for _ in networks]
    for _ in range(draws):
        # the same draw for both stand-ins
        state = generator.get_state()
        for clean in stand_ins:
            generator.set_state(state)
            degraded = degradation(clean, generator)
            for network, error in zip(networks, errors, strict=True):
                error += (network(degraded).clamp(0, 1) - clean).square() / (2 * draws)
    first = _cells(errors[0], cell)
    return Risk(first, first, _cells(errors[1] - errors[0], cell))


def _cells(values: Tensor, cell: int) -> np.ndarray:
    """Means over cells and colours."""
    return F.avg_pool2d(values.mean(1), cell).flatten().double().cpu().numpy()
