"""Objectives: what one training step minimises.

`build(name, **options)` gives an `Objective`. Call it with a restoration network, a batch and the
progress of the training; it returns named loss terms, `loss` among them. The vanilla baseline
and noise-space adaptation are objectives of the same interface, so a comparison is the same
recipe with another objective.
"""

from __future__ import annotations

from typing import Any

from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier
from noiseda.adaptation.noise_space import NoiseSpace
from noiseda.adaptation.supervised import Supervised
from noiseda.adaptation.two_scale import TwoScale
from noiseda.adaptation.vanilla import Vanilla

__all__ = [
    "OBJECTIVES",
    "Batch",
    "NoiseSpace",
    "Objective",
    "Randomness",
    "Supervised",
    "TwoScale",
    "Vanilla",
    "build",
    "charbonnier",
]


def build(name: str, **options: Any) -> Objective:
    """An objective with fresh weights (of its noise predictor, if it has one).

    Args:
        name: "vanilla", "noise-space", "two-scale", or "supervised" (with ground truth, as an
            upper bound).
        **options: the keyword parameters of that objective's class.

    Raises:
        OptionError: unknown name or option, wrong type, value out of range.
    """
    return OBJECTIVES.build(name, **options)
