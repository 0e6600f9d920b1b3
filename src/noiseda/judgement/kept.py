"""How much of the photos' noise a network leaves where it is."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from noiseda import degradations, runtime
from noiseda.judgement.pieces import pieces
from noiseda.random import generator

# of each photo a window of so many pixels' height and width
_SIZE = 256
# of the drawn noise, by which the photo is moved to both sides, see `risk`
_STEP = 0.2


@torch.no_grad()
def kept_share(network: nn.Module, photos: Iterable[np.ndarray], noise: Mapping[str, Any]) -> float:
    """tr(Σ ∂f/∂y) / tr Σ: 0 if all of it is taken away, 1 if none is; median over the photos.

    Args:
        network: a denoiser, B×3×H×W in [0, 1] to the same; a copy is used.
        photos: H×W×3 uint8.
        noise: theirs, as options of the degradation "matched"; must be some.
    """
    device = runtime.best_device()
    restore = runtime.fast_layout(copy.deepcopy(network).to(device)).eval()
    drawn = degradations.build("matched", **{**noise, "scale": (1.0, 1.0), "clamp": False})
    shares = []
    for number, noisy in enumerate(pieces(photos, _SIZE, device)):
        clean = restore(noisy).clamp(0, 1)
        shift = drawn(clean, generator(0, number, "kept")) - clean
        moved = restore(noisy + _STEP * shift) - restore(noisy - _STEP * shift)
        power = float(shift.square().sum()) * 2 * _STEP
        shares.append(float((moved * shift).sum()) / power)
    return median(shares)
