"""Adapting models for rain and blur: nothing judges them, so the start stays and both are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noiseda import images
from noiseda.checkpoint import open_model, save
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
