"""Training: a recipe becomes a run folder with a model."""

from __future__ import annotations

from noiseda.training.folder import newest_checkpoint
from noiseda.training.preparation import prepare
from noiseda.training.reading import read_recipe, shipped
from noiseda.training.recipe import Recipe
from noiseda.training.run import RunResult, is_finished, resume, train
from noiseda.training.teaching import judging_seconds, making_seconds, teaching_seconds

__all__ = [
    "Recipe",
    "RunResult",
    "is_finished",
    "judging_seconds",
    "making_seconds",
    "newest_checkpoint",
    "prepare",
    "read_recipe",
    "resume",
    "shipped",
    "teaching_seconds",
    "train",
]
