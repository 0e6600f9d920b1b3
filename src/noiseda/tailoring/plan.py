"""By which recipe, and for how long, a model is adapted to photos."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from noiseda.checkpoint import ModelInfo
from noiseda.console import passing
from noiseda.networks import RestorationNetwork
from noiseda.tailoring.look import Look
from noiseda.training import Recipe, prepare
from noiseda.training.probe import Cost, cost

OBJECTIVE = "two-scale"
# more was not found to help (studies/adaptation)
_MOST_STEPS, _FEWEST_STEPS = 600, 20
_WINDOWS = (64, 32, 16, 8)
# of the given time, that making targets may take
_SHARE = 0.4
# for models whose file does not tell what they were trained on
_UNKNOWN = {"name": "gaussian", "sigma": [0, 50]}


def recipe_for(
    photos: Path,
    seen: Look,
    network: RestorationNetwork,
    info: ModelInfo,
    start: Path,
    cache: Path,
    seed: int,
) -> Recipe:
    """The recipe, of the greatest length.

    The synthetic pairs show the photos' own restorations, degraded as in the start model's
    training: nobody needs clean images.
    """
    degradation: Any = (info.recipe or {}).get("degradation") or _UNKNOWN
    return Recipe.model_validate(
        {
            "name": "adapt",
            "task": info.task,
            "seed": seed,
            "data": {
                "real": {
                    "folder": str(photos.absolute()),
                    "include": [glob.escape(name) for name in seen.training],
                },
                "cache": str(cache),
                "patch": 64,
                "batch": 8,
            },
            "degradation": degradation,
            "network": {"name": network.name, **network.options},
            "objective": {"name": OBJECTIVE, "content": "photos", "windows": _WINDOWS[0]},
            "training": {
                "images": 8 * _MOST_STEPS,
                "learning_rate": 3e-4,
                "ema_halflife": 1000,
                "clip_norm": 1.0,
                "checkpoint_every": 400,
                "log_every": 80,
                "start": str(start.absolute()),
                "devices": 1,
            },
        }
    )


def within(recipe: Recipe, seconds: float) -> tuple[Recipe, Cost]:
    """The recipe, shortened until it fits into the time on this machine, and what it takes."""
    with passing():
        tried = cost(prepare(recipe, recipe.training.start))
    windows = next(
        (w for w in _WINDOWS if tried.targets * w / _WINDOWS[0] <= _SHARE * seconds), _WINDOWS[-1]
    )
    targets = tried.targets * windows / _WINDOWS[0]
    steps = int((seconds - targets) / tried.step)
    steps = min(max(steps, _FEWEST_STEPS), _MOST_STEPS)
    training = recipe.training.model_copy(update={"images": steps * recipe.data.batch})
    objective = {**recipe.objective, "windows": windows}
    shortened = recipe.model_copy(update={"training": training, "objective": objective})
    return shortened, Cost(tried.step, targets, tried.memory)
