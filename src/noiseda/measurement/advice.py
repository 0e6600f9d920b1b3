"""What a look at a folder of photos means for adapting a model to it, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from noiseda import degradations
from noiseda.errors import OptionError
from noiseda.measurement.noise import Noise
from noiseda.measurement.survey import SMALL, Survey
from noiseda.random import generator

FEW = 5
"""Fewer photos than these are too few to adapt well to."""

# in 1/255; below it the photos hardly change
_FAINT = 2.0
# σ, in 1/255, between a set that lost by learning measured noise over the source's images (10) and
# one that gained (25)
_STRONG = 20.0
# correlations that differ by less are alike: a set's may be wrong by as much (studies/measurement,
# white noise of σ 2)
_ALIKE = 0.15
# mean on middle gray, in 1/255: of the camera model -0.8, of white noise up to 0.05 by chance
_LEAST_OFFSET = 0.25
_DRAWS, _SIDE, _GRAYS = 64, 64, (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Known:
    """Noise that a degradation makes on gray images; σ in units of 1/255.

    Attributes:
        sigma: lowest and highest, but for the outermost 2 % of the draws.
        neighbours: lowest and highest correlation between neighbouring pixels, likewise.
        offset: its mean on middle gray, over all draws.
    """

    sigma: tuple[float, float]
    neighbours: tuple[float, float]
    offset: float


def known(degradation: Mapping[str, Any]) -> Known:
    """The noise of a degradation, from images that it has degraded.

    Args:
        degradation: its name and options, as in a recipe.

    Raises:
        OptionError: no such degradation, or options it does not have.
    """
    options = dict(degradation)
    degrade = degradations.build(str(options.pop("name", None)), **options)
    gray = torch.tensor(_GRAYS).repeat(_DRAWS)[:, None, None, None]
    clean = gray.expand(-1, 3, _SIDE, _SIDE)
    error = 255 * (degrade(clean, generator(0)) - clean).double().numpy()
    offset = float(error[_GRAYS.index(0.5) :: len(_GRAYS)].mean())
    error -= error.mean((2, 3), keepdims=True)
    power = (error**2).mean((2, 3))
    across = (error[..., 1:] * error[..., :-1]).mean((2, 3))
    down = (error[:, :, 1:] * error[:, :, :-1]).mean((2, 3))
    telling = power > _FAINT**2
    shares = ((across + down) / 2)[telling] / power[telling]
    return Known(
        _outer(np.sqrt(power.mean(1))), _outer(shares) if len(shares) else (0.0, 0.0), offset
    )


def has_mean(degradation: object) -> bool:
    """Whether noise has a mean where it is not clipped, as that of a camera has; white noise and
    what was measured in photos has none.

    Args:
        degradation: its name and options, as in a recipe; False for what is none.
    """
    if not isinstance(degradation, Mapping):
        return False
    if isinstance(parts := degradation.get("parts"), Sequence):
        # one is enough; together with noise that has none its mean would look small
        return any(map(has_mean, parts))
    try:
        return abs(known(degradation).offset) > _LEAST_OFFSET
    except OptionError:
        return False


def hints(found: Survey) -> list[str]:
    """What to know or to mend in a folder before adapting to it."""
    told = []
    if found.usable < FEW:
        told.append(
            f"Only {found.usable} usable: too few to adapt well to; add photos of different "
            f"scenes, {FEW} or more in all."
        )
    if found.unreadable:
        told.append(f"{len(found.unreadable)} cannot be read, first {found.unreadable[0][0]}.")
    if found.identical:
        told.append(f"{_listed(found.identical)} the same file more than once; one is enough.")
    if found.similar:
        told.append(f"{_listed(found.similar)} nearly the same; other scenes help more.")
    if found.small:
        told.append(f"{len(found.small)} smaller than {SMALL} pixels, first {found.small[0]}.")
    if found.soft:
        told.append(f"{len(found.soft)} without a sharp edge, first {found.soft[0]}.")
    if len(found.blocked) > found.looked_at / 2:
        told.append("Most were compressed as JPEG: their noise has traces of its blocks.")
    return told


def novelty(noise: Noise | None, recipe: Mapping[str, Any] | None) -> list[str]:
    """How far the photos' noise is from what a denoiser was trained on, and whether there is much
    to gain.

    Args:
        noise: of the folder, `Survey.noise`.
        recipe: of the model to start from, as in its file's header (`ModelInfo.recipe`).
    """
    if noise is None:
        return ["No photo is large enough to measure its noise."]
    told = []
    if is_faint(noise):
        told.append(
            f"There is little noise (σ {noise.overall:.1f} of 255): little to gain, adaptation is "
            "unlikely to help."
        )
    if _rough(noise):
        told.append(
            "In most photos even the flat areas are not equally noisy, so the measured noise is "
            "rough: with fine texture everywhere it is an upper bound; if the camera denoises, "
            "more is left in texture than measured."
        )
    return [*told, *_compared(noise, recipe)]


def is_faint(noise: Noise) -> bool:
    """Whether there is so little noise that it is hardly worth removing."""
    return noise.overall < _FAINT


def is_strong(noise: Noise) -> bool:
    """Whether what a network knows of noise counts for more than what it knows of content (see
    studies/adaptation)."""
    return noise.overall > _STRONG


def _compared(noise: Noise, recipe: Mapping[str, Any] | None) -> list[str]:
    degradation = (recipe or {}).get("degradation")
    if not recipe or not isinstance(degradation, Mapping):
        return ["The model's file does not say what noise it was trained on."]
    try:
        trained = known(degradation)
    except OptionError as error:
        return [f"What noise the model was trained on cannot be told: {error}."]
    low, high = trained.sigma
    where = "above" if noise.overall > high else "below" if noise.overall < low else "within"
    told = [
        f"The noise (σ {noise.overall:.1f} of 255) is {where} the strengths the model was trained "
        f"on ({degradation['name']}, σ about {low:.0f} to {high:.0f})."
    ]
    if not is_faint(noise):
        told.append(_grain(noise, trained))
    objective = recipe.get("objective", {}).get("name", "vanilla")
    if objective != "vanilla" and "matched" not in _names(degradation):
        told.append(
            f"The model has learnt from real photos, too ({objective}); its file does not describe "
            "their noise."
        )
    return told


def _names(degradation: Mapping[str, Any]) -> list[str]:
    """Of a degradation, and of the parts of a mixture."""
    parts = degradation.get("parts", ())
    return [degradation["name"], *(name for part in parts for name in _names(part))]


def _grain(noise: Noise, trained: Known) -> str:
    if _rough(noise):
        return "Whether its grain is new to the model cannot be told: texture has grain, too."
    here, (least, most) = noise.neighbours, trained.neighbours
    there = f"{least:.2f} to {most:.2f}" if most - least > _ALIKE else _two((least + most) / 2)
    numbers = f"neighbouring pixels correlate by {_two(here)}, in training by {there}"
    if not least - _ALIKE <= here <= most + _ALIKE:
        grain = "coarser" if here > most else "finer"
        return f"Its grain is {grain} than any the model was trained on: {numbers}."
    # not that there is little to gain: what the photos show can be new to it
    return f"Its grain is known to the model: {numbers}."


def _rough(noise: Noise) -> bool:
    return noise.uneven > noise.photos / 2


def _two(value: float) -> str:
    # adding 0 turns −0 into 0
    return f"{round(value, 2) + 0.0:.2f}"


def _outer(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.02, 0.98]).tolist()
    return low, high


def _listed(groups: Sequence[Sequence[str]]) -> str:
    """The first group and how many more there are, to begin a sentence with."""
    first = " and ".join(groups[0][:2]) + (", …," if len(groups[0]) > 2 else "")
    more = len(groups) - 1
    others = f" (and {more} other group{'s' * (more > 1)})" if more else ""
    return f"{first}{others} are"
