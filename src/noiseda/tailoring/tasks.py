"""What differs from task to task when a model is adapted to photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from noiseda.measurement import Survey, hints, novelty

ADAPTED = "adapted.safetensors"


@dataclass(frozen=True)
class Way:
    """How a model for one task is adapted.

    Attributes:
        blemish: what the photos suffer from, in a word.
        objective: of the training, without its number of windows.
        unknown: degradation of models whose file does not tell what they were trained on.
        counted: what the measured noise is in part.
        judged: whether anything is known that tells better from worse without ground truth.
    """

    blemish: str
    objective: Mapping[str, Any]
    unknown: Mapping[str, Any] = field(default_factory=dict)
    counted: str = ""
    judged: bool = False

    @property
    def verdict(self) -> str:
        """What is said where nothing can be judged."""
        return (
            f"Whether the adapted model is better cannot be told: for {self.blemish} nothing is "
            "known yet that tells it without ground truth. The adapted model is left beside the "
            f"start model, in {ADAPTED}; compare both in the report."
        )

    def look(self, found: Survey, recipe: Mapping[str, Any] | None) -> list[str]:
        """Sentences on a folder: what to mend, and what is known about adapting to it."""
        if self.judged:
            return [*hints(found), *novelty(found.noise, recipe)]
        told = hints(replace(found, soft=()) if self.blemish == "blur" else found)
        if found.noise is not None:
            told.append(f"The photos' noise has σ {found.noise.overall:.1f} of 255{self.counted}.")
        told.append(
            f"The {self.blemish} in them is not measured: how far it is from what the model was "
            "trained on, and whether there is something to gain, is not known."
        )
        return told


WAYS = {
    "denoise": Way(
        "noise",
        {
            "name": "two-scale",
            "content": "photos",
            "shrink": 2.0,
            "warm_up": 0.4,
            "warm_up_content": "photos",
        },
        {"name": "gaussian", "sigma": [0, 50]},
        judged=True,
    ),
    "derain": Way(
        "rain",
        {"name": "self-taught", "content": "photos", "turns": "mirror"},
        {"name": "rain"},
        # of Rain100L it is 4.4, and 2.5 without the rain
        counted=", of which thin streaks are a part",
    ),
    "deblur": Way(
        "blur",
        {"name": "self-taught", "content": "photos", "turns": "all"},
        {"name": "motion-blur"},
    ),
}
