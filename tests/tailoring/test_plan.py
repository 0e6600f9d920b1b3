"""The recipe by which a model is adapted: what degrades its synthetic pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noiseda import images
from noiseda.checkpoint import open_model, save
from noiseda.errors import ModelFileError
from noiseda.tailoring.look import Look, look
from noiseda.tailoring.plan import Given, recipe_for
from noiseda.training import Recipe
from tests.conftest import photo
from tests.tailoring.conftest import network

OWN: dict[str, dict[str, Any]] = {
    "denoise": {"name": "gaussian", "sigma": [0, 50]},
    "derain": {"name": "rain", "density": [0.05, 0.1]},
}


def seen(folder: Path, sigmas: Sequence[float], task: str, recipe: Any) -> tuple[Given, Look]:
    """Photos of noise of these strengths, and a model whose file tells of this recipe."""
    start = folder / "start.safetensors"
    save(start, network(), task=task, recipe=recipe)
    loaded, info = open_model(start, task)
    random = np.random.default_rng(0)
    photos = folder / "noisy"
    photos.mkdir()
    for number, sigma in enumerate(sigmas):
        pixels = photo(96, 96, number) / 2 + 60 + random.normal(0, sigma, (96, 96, 3))
        images.write(photos / f"{number}.png", pixels.round().clip(0, 255).astype(np.uint8))
    return Given(photos, start, loaded, info, 0), look(photos, info)


def parts(recipe: Recipe) -> list[dict[str, Any]]:
    degradation = recipe.degradation or {}
    return degradation.get("parts", [degradation])


@pytest.mark.parametrize(
    ("task", "sigma", "expected"),
    [
        ("denoise", 0.5, ["gaussian", "matched"]),
        ("denoise", 5, ["matched"]),
        ("denoise", 40, ["gaussian", "matched"]),
        ("derain", 5, ["rain"]),
    ],
)
def test_what_degrades_the_pairs(
    task: str, sigma: float, expected: list[str], tmp_path: Path
) -> None:
    """The measured noise; that of the model's training beside it, where there is little or much."""
    given, found = seen(tmp_path, [sigma] * 4, task, {"degradation": OWN[task]})
    chosen = parts(recipe_for(given, found, tmp_path / "cache"))
    assert [part["name"] for part in chosen] == expected
    if expected == ["matched"]:
        measured = np.mean(chosen[-1]["sigma"]) * np.mean(chosen[-1]["scale"])
        assert measured == pytest.approx(sigma, rel=0.25)
    unmeasured = replace(found, survey=replace(found.survey, noise=None))
    (only,) = parts(recipe_for(given, unmeasured, tmp_path / "cache"))
    assert only["name"] == OWN[task]["name"]


def test_photos_with_and_without_noise(tmp_path: Path) -> None:
    """Some are hundreds of times as noisy as most, which have next to none."""
    given, found = seen(tmp_path, [5] * 4, "denoise", None)
    assert found.survey.noise
    noise = replace(found.survey.noise, scale=(0.0, 1146.0))
    mixed = replace(found, survey=replace(found.survey, noise=noise))
    (measured,) = parts(recipe_for(given, mixed, tmp_path / "cache"))
    assert tuple(measured["scale"]) == (0.01, 100)


@pytest.mark.parametrize("own", [{"name": "gaussian", "sigm": 5}, {"sigma": [0, 5]}, "gaussian", 7])
def test_a_file_that_tells_of_an_unknown_training(own: Any, tmp_path: Path) -> None:
    given, found = seen(tmp_path, [0.5] * 4, "denoise", {"degradation": own})
    with pytest.raises(ModelFileError, match=r"start\.safetensors: cannot be adapted: .*--from"):
        recipe_for(given, found, tmp_path / "cache")
