"""Recipes of runs that make targets of their own photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from noiseda.training import Recipe, read_recipe


def recipe_of(path: Path, **keys: Any) -> Recipe:
    """The tiny recipe with the two-scale objective: 6 steps in two rounds.

    Args:
        path: of its file, which is rewritten.
        keys: others of it; `objective` adds to that.
    """
    content = yaml.safe_load(path.read_text())
    content["objective"] = {"name": "two-scale", "windows": 3, **keys.pop("objective", {})}
    path.write_text(yaml.safe_dump(content))
    return read_recipe(path, {"training.images": 12, **keys})
