"""The degradation of photos, measured without ground truth.

found = survey("photos")                                # what is there, and its noise
hints(found) + novelty(found.noise, info.recipe)        # what that means, in sentences
noise = measure(images.read_rgb8(p) for p in paths)     # the noise alone
noisy = degradations.build("matched", **matched_options(noise))(clean, generator)
"""

from __future__ import annotations

from noiseda.measurement.advice import has_mean, hints, is_faint, is_strong, novelty
from noiseda.measurement.noise import Noise, measure
from noiseda.measurement.sampling import matched_options
from noiseda.measurement.survey import Survey, evenly, survey

__all__ = [
    "Noise",
    "Survey",
    "evenly",
    "has_mean",
    "hints",
    "is_faint",
    "is_strong",
    "matched_options",
    "measure",
    "novelty",
    "survey",
]
