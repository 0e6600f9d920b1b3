"""By which recipe, and for how long, a model is adapted to photos."""

from __future__ import annotations

import glob
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from noiseda.checkpoint import ModelInfo
from noiseda.console import duration, passing
from noiseda.data import cut
from noiseda.errors import ModelFileError, OptionError
from noiseda.images.library import shown
from noiseda.measurement import Noise, is_faint, is_strong, matched_options
from noiseda.networks import RestorationNetwork
from noiseda.registry import explain
from noiseda.tailoring.look import Look
from noiseda.tailoring.tasks import WAYS
from noiseda.training import Recipe, prepare
from noiseda.training.probe import cost
from noiseda.training.teaching import SIZE

# more was not found to help (studies/adaptation)
_MOST_STEPS = 600
FEWEST_STEPS = 20
_WINDOWS = (64, 32, 16, 8)
# of the given time, that making targets may take
_SHARE = 0.4


@dataclass(frozen=True)
class Given:
    """What adaptation starts with.

    Attributes:
        photos: the folder of photos.
        start: the file of the start model.
        network: the one in it.
        info: what the file says about it.
        seed: of every random draw.
    """

    photos: Path
    start: Path
    network: RestorationNetwork
    info: ModelInfo
    seed: int


@dataclass(frozen=True)
class Plan:
    """A recipe, and what it takes: `seconds` from the planning on, `memory` in bytes."""

    recipe: Recipe
    seconds: float
    memory: int

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"Adapting takes about {duration(self.seconds)} ({self.recipe.steps} steps) and "
            f"{self.memory / 2**30:.1f} GB of memory; judging and restoring come on top."
        )


def recipe_for(given: Given, seen: Look, cache: Path) -> Recipe:
    """The recipe, of the greatest length.

    The synthetic pairs show the photos' own restorations: nobody needs clean images.

    Raises:
        ModelFileError: the model's file tells of a training that is not one of this program's.
    """
    network, info = given.network, given.info
    way = WAYS[info.task]
    content = {
        "name": "adapt",
        "task": info.task,
        "seed": given.seed,
        "data": {
            "real": {
                "folder": str(given.photos.absolute()),
                "include": [glob.escape(name) for name in seen.training],
            },
            "cache": str(cache.absolute()),
            "patch": 64,
            "batch": 8,
        },
        "degradation": _degradation(info, seen.survey.noise),
        "network": {"name": network.name, **network.options},
        "objective": {**way.objective, "windows": _WINDOWS[0]},
        "training": {
            "images": 8 * _MOST_STEPS,
            "learning_rate": 3e-4,
            "ema_halflife": 1000,
            "clip_norm": 1.0,
            "checkpoint_every": 400,
            "log_every": 80,
            "start": str(given.start.absolute()),
            "devices": 1,
        },
    }
    try:
        return Recipe.model_validate(content)
    except (pydantic.ValidationError, OptionError) as error:
        told = explain(error, Recipe) if isinstance(error, pydantic.ValidationError) else error
        raise ModelFileError(
            f"{shown(given.start)}: cannot be adapted: {told}; choose another model with --from"
        ) from None


def _degradation(info: ModelInfo, noise: Noise | None) -> dict[str, Any]:
    """What degrades the synthetic pairs: for noise, noise as it was measured in the photos.

    Where there is hardly any, a network would learn from it to change nothing. Where it is strong,
    cutting it off at black and developing it may have given it a mean, which depends on the
    brightness and which photos do not tell: a start model may know it. There the noise of the
    start model's training is learned from as well. Other tasks have nothing but their model's.
    """
    own = (info.recipe or {}).get("degradation") or dict(WAYS[info.task].unknown)
    if noise is None or info.task != "denoise":
        return own
    measured = {"name": "matched", **matched_options(noise)}
    if is_faint(noise) or is_strong(noise):
        return {"name": "mixture", "parts": [own, measured]}
    return measured


def within(recipe: Recipe, seconds: float) -> Plan:
    """The recipe, shortened until it fits on this machine into the time from now on.

    Steps of a warm-up, which cost less than others, are counted like these.
    """
    began = time.perf_counter()
    with passing():
        prepared = prepare(recipe, recipe.training.start)
        photos = prepared.samples.stores["real"]
        assert photos is not None
        shapes = photos.shapes
        tried = cost(prepared)
    planning = time.perf_counter() - began
    left = seconds - planning
    # of small photos there are fewer windows than are asked for
    counts = {wanted: len(cut(shapes, wanted, SIZE, recipe.seed)) for wanted in _WINDOWS}
    each = tried.targets / max(counts[_WINDOWS[0]], 1)
    windows = next((w for w in _WINDOWS if each * counts[w] <= _SHARE * left), _WINDOWS[-1])
    targets = each * counts[windows]
    steps = int((left - targets) / tried.step)
    steps = min(max(steps, FEWEST_STEPS), _MOST_STEPS)
    training = recipe.training.model_copy(update={"images": steps * recipe.data.batch})
    objective = {**recipe.objective, "windows": windows}
    shortened = recipe.model_copy(update={"training": training, "objective": objective})
    return Plan(shortened, planning + targets + steps * tried.step, tried.memory)
