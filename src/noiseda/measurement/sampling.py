"""From measured noise to a degradation that draws the like."""

from __future__ import annotations

from typing import Any

import numpy as np

from noiseda.measurement.noise import Noise
from noiseda.measurement.patches import REACH


def matched_options(noise: Noise) -> dict[str, Any]:
    """Options of the degradation "matched": clean image in, photo with the measured noise out.

        degradations.build("matched", **matched_options(measure(photos)))

    Plain lists of numbers, rounded as for a recipe. The strength varies from sample to sample as it
    does between the photos.
    """
    side = 2 * REACH + 1
    # of nine pairs of colours
    tables = np.clip(np.reshape(noise.correlation, (9, side, side)), -1, 1)
    distant = np.ones((side, side), bool)
    distant[REACH, REACH] = False
    if np.abs(tables[:, distant]).max() < 0.02:
        # hardly more than the error of the measurement: white, and many times as fast
        tables = tables[:, REACH : REACH + 1, REACH : REACH + 1]
    return {
        "brightness": _rounded(noise.brightness, 4),
        "sigma": _rounded(noise.curve, 3),
        "correlation": _rounded(tables, 3),
        # some photos may have next to none of it
        "scale": _rounded(np.clip(noise.scale, 0.01, 100), 3),
    }


def _rounded(values: Any, digits: int) -> list[Any]:
    return np.round(np.asarray(values, np.float64), digits).tolist()
