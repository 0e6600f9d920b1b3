"""Training: a recipe becomes a run folder with a model."""

from __future__ import annotations

from noiseda.training.recipe import Recipe, read_recipe, shipped
from noiseda.training.run import RunResult, newest_checkpoint, prepare, resume, train

__all__ = [
    "Recipe",
    "RunResult",
    "newest_checkpoint",
    "prepare",
    "read_recipe",
    "resume",
    "shipped",
    "train",
]
