"""Adapting models for rain and blur: nothing judges them, so the start stays and both are there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noiseda import images
from noiseda.checkpoint import open_model, save
from noiseda.tailoring.look import look
from noiseda.tailoring.plan import Given, recipe_for
from tests.conftest import photo
from tests.end_to_end.conftest import Command
from tests.tailoring.conftest import SHORT, network

DEGRADATIONS: dict[str, dict[str, Any]] = {
    "derain": {"name": "rain", "density": [0.05, 0.1]},
    "deblur": {"name": "motion-blur", "length": [2, 9]},
}


def tiny(path: Path, task: str, recipe: dict[str, Any] | None) -> Path:
    save(path, network(), task=task, recipe=recipe)
    return path


@pytest.mark.parametrize(("task", "turns"), [("derain", "mirror"), ("deblur", "all")])
def test_adapted_and_kept_apart(
    task: str, turns: str, photos: Path, tmp_path: Path, command: Command
) -> None:
    start = tiny(tmp_path / "start.safetensors", task, {"degradation": DEGRADATIONS[task]})
    arguments = ("adapt", photos, "-o", "out", "--task", task, "--from", start, *SHORT)
    code, out, err = command(*arguments)
    assert code == 0, err
    blemish = {"derain": "rain", "deblur": "blur"}[task]
    assert f"The {blemish} in them is not measured" in out
    assert "noise has σ" in out
    assert "was trained on (" not in out
    folder = tmp_path / "out"
    page = (folder / "report.html").read_text("utf-8")
    for where in (out, page):
        assert "cannot be told" in where
        assert "adapted.safetensors" in where
        assert "The start model is kept." in where
        assert "Judged without ground truth" not in where
    state = json.loads((folder / "adapt.json").read_text())
    assert (state["kept"], state["verdict"]["kind"]) == ("start", "unsure")
    assert len(list((folder / "restored").iterdir())) == 6
    before, kept, adapted = (
        open_model(path, task)
        for path in (start, folder / "model.safetensors", folder / "adapted.safetensors")
    )
    for name, weight in kept[0].state_dict().items():
        assert torch.equal(weight, before[0].state_dict()[name])
    changes = [
        float((one - other).detach().abs().max())
        for one, other in zip(adapted[0].parameters(), before[0].parameters(), strict=True)
    ]
    assert max(changes) > 0
    recipe = adapted[1].recipe or {}
    assert recipe["objective"]["turns"] == turns
    assert recipe["degradation"]["name"] == DEGRADATIONS[task]["name"]
    assert recipe["task"] == task
    # the one beside it can be used at once
    code, _, err = command(
        *("restore", photos / "0.png", "-o", "again", "--task", task),
        *("--model", folder / "adapted.safetensors"),
    )
    assert code == 0, err


@pytest.mark.parametrize(
    ("task", "sigma", "expected"),
    [
        ("denoise", 5, ["matched"]),
        ("denoise", 40, ["gaussian", "matched"]),
        ("derain", 5, ["rain"]),
    ],
)
def test_what_degrades_the_pairs(
    task: str, sigma: float, expected: list[str], tmp_path: Path
) -> None:
    """Weak noise is learned as it was measured; the model's own stays beside strong noise."""
    own = {"denoise": {"name": "gaussian", "sigma": [0, 50]}, **DEGRADATIONS}[task]
    start = tiny(tmp_path / "start.safetensors", task, {"degradation": own})
    loaded, info = open_model(start, task)
    random = np.random.default_rng(0)
    (tmp_path / "noisy").mkdir()
    for number in range(4):
        pixels = photo(96, 96, number) / 2 + 60 + random.normal(0, sigma, (96, 96, 3))
        images.write(tmp_path / "noisy" / f"{number}.png", pixels.clip(0, 255).astype(np.uint8))
    seen = look(tmp_path / "noisy", info)
    given = Given(tmp_path / "noisy", start, loaded, info, 0)
    recipe = recipe_for(given, seen, tmp_path / "cache")
    assert recipe.degradation is not None
    parts = recipe.degradation.get("parts", [recipe.degradation])
    assert [part["name"] for part in parts] == expected
    if "matched" in expected:
        measured = np.mean(parts[-1]["sigma"]) * np.mean(parts[-1]["scale"])
        assert measured == pytest.approx(sigma, rel=0.25)
        unmeasured = replace(seen, survey=replace(seen.survey, noise=None))
        recipe = recipe_for(given, unmeasured, tmp_path / "cache")
        assert (recipe.degradation or {})["name"] == "gaussian"


def test_a_model_that_does_not_tell_its_training(
    photos: Path, tmp_path: Path, command: Command
) -> None:
    start = tiny(tmp_path / "start.safetensors", "derain", None)
    code, out, err = command("adapt", photos, "-o", "out", "--from", start, "--dry-run")
    assert code == 0, err
    assert out.splitlines()[-1].startswith("Adapting takes about ")


def test_blurred_photos_are_not_scolded_for_it(tmp_path: Path, command: Command) -> None:
    ramp = np.linspace(60, 180, 96)[None, :, None] + np.zeros((80, 1, 3))
    for number in range(4):
        (tmp_path / "photos").mkdir(exist_ok=True)
        images.write(tmp_path / "photos" / f"{number}.png", (ramp + 5 * number).astype(np.uint8))
    told = {}
    for task in ("derain", "deblur"):
        start = tiny(tmp_path / f"{task}.safetensors", task, None)
        _, told[task], _ = command("adapt", "photos", "-o", "out", "--from", start, "--dry-run")
    assert "without a sharp edge" in told["derain"]
    assert "without a sharp edge" not in told["deblur"]
