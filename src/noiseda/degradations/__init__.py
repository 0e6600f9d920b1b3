"""Clean image in, synthetic degraded image out.

    noisy = build("gaussian", sigma=(0, 50))(clean, generator)

A degradation keeps nothing between calls and draws from the given generator only, so the same
image and seed give the same pixels whatever was degraded before.
"""

from __future__ import annotations

from typing import Any

from noiseda.degradations.base import DEGRADATIONS, Degradation
from noiseda.degradations.camera import Camera
from noiseda.degradations.gaussian import Gaussian
from noiseda.degradations.matched import Matched
from noiseda.degradations.mixture import Mixture
from noiseda.degradations.motion_blur import MotionBlur
from noiseda.degradations.rain import Rain

__all__ = [
    "DEGRADATIONS",
    "Camera",
    "Degradation",
    "Gaussian",
    "Matched",
    "Mixture",
    "MotionBlur",
    "Rain",
    "build",
]


def build(name: str, **options: Any) -> Degradation:
    """The degradation `name` with checked options; `DEGRADATIONS.names` lists the names.

    Raises:
        OptionError: unknown name or option, wrong type, value out of range.
    """
    return DEGRADATIONS.build(name, **options)
