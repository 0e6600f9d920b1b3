"""Objectives: what one training step minimises.

`build(name, **options)` gives an `Objective`. Call it with a restoration network, a batch and the
progress of the training; it returns named loss terms, `loss` among them. The vanilla baseline,
noise-space adaptation and the methods it is compared with are objectives of the same interface, so
a comparison is the same recipe with another objective.
"""

from __future__ import annotations

from typing import Any

from noiseda.adaptation.ap_bsn import APBSN
from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier
from noiseda.adaptation.cycada import CyCADA
from noiseda.adaptation.dann import DANN
from noiseda.adaptation.dsn import DSN
from noiseda.adaptation.neighbor2neighbor import Neighbor2Neighbor
from noiseda.adaptation.noise_space import NoiseSpace
from noiseda.adaptation.pixelda import PixelDA
from noiseda.adaptation.self_taught import SelfTaught
from noiseda.adaptation.supervised import Supervised
from noiseda.adaptation.two_scale import TwoScale
from noiseda.adaptation.vanilla import Vanilla

__all__ = [
    "APBSN",
    "DANN",
    "DSN",
    "OBJECTIVES",
    "Batch",
    "CyCADA",
    "Neighbor2Neighbor",
    "NoiseSpace",
    "Objective",
    "PixelDA",
    "Randomness",
    "SelfTaught",
    "Supervised",
    "TwoScale",
    "Vanilla",
    "build",
    "charbonnier",
]


def build(name: str, **options: Any) -> Objective:
    """An objective with fresh weights (of its noise predictor, if it has one). Call its `attach`
    with the restoration network before you make the optimiser.

    Args:
        name: "vanilla", "noise-space"; "two-scale", "self-taught" (the network's own restorations
            of the photos); "dann", "dsn" (features of both domains made alike); "pixelda",
            "cycada" (synthetic images made to look real); "neighbor2neighbor", "ap-bsn" (real
            photos alone); or "supervised" (with ground truth, as an upper bound).
        **options: the keyword parameters of that objective's class.

    Raises:
        OptionError: unknown name or option, wrong type, value out of range.
    """
    return OBJECTIVES.build(name, **options)
