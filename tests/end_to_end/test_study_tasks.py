"""The study of the three tasks, on tiny photos: what is trained on, scored and told."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noiseda.checkpoint import open_model
from noiseda.errors import RunError
from noiseda.training import read_recipe
from tests.conftest import write_photos

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "studies" / "tasks"
MODELS = ROOT / "src" / "noiseda" / "models"
SETTINGS = {
    "training.images": 4,
    # a network of its own
    "training.start": None,
    "compare.images": 4,
    "compare.source_images": 1,
    "compare.methods.two-scale.windows": 1,
    "network.width": 2,
    "network.depth": 1,
    "data.patch": 16,
    "data.batch": 2,
    "data.workers": 0,
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What run.py defines, with data of its own."""
    data = tmp_path / "data"
    for part, names in {"train": "ab", "test": "c", "val": "de"}.items():
        write_photos(data / "bsds500" / part, [f"{name}.png" for name in names])
    for kind in ("rainy", "clean"):
        # 58 is 9 under other rain
        write_photos(data / "rain100l" / kind, [f"{n}.png" for n in (1, 9, 41, 58)])
    (data / "rain100l" / "bsds500_overlap.txt").write_text("train/b.png\nval/d.png\n")
    frames = ["GOPR0374_11_00_st_1.png", "GOPR0384_11_00_st_1.png", "GOPR0384_11_02_st_1.png"]
    for kind in ("blurry", "sharp"):
        write_photos(data / "gopro" / kind, frames)
    monkeypatch.setenv("NOISEDA_DATA", str(data))
    monkeypatch.syspath_prepend(str(STUDY))
    yield runpy.run_path(str(STUDY / "run.py"))
    for name in ("run", "summary", "targets"):
        sys.modules.pop(name, None)


def test_a_part_at_a_time(study: dict[str, Any], tmp_path: Path) -> None:
    settings = {**SETTINGS, "data.cache": str(tmp_path / "cache")}
    options = ["--tasks", "derain", "--methods", "input,oracle"]
    for key, value in settings.items():
        options += ["--set", f"{key}={json.dumps(value)}"]
    options += ["--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "out")]
    study["main"]([*options, "--seeds", "1"])
    assert json.loads((tmp_path / "out" / "derain.json").read_text())["seeds"] == [1]
    study["main"]([*options, "--seeds", "0"])
    results = json.loads((tmp_path / "out" / "derain.json").read_text())
    assert results["seeds"] == [0, 1]
    assert (results["protocol"], results["images"]) == ("y", {"target": 2, "source": 1})
    assert results["views"] == {"equal-steps": {"steps": 2}}
    data = results["recipe"]["data"]
    assert [part["exclude"] for part in data["clean"]] == [["b.png"], []]
    assert data["real"][0]["include"] == ["41.png"]
    assert data["validation"]["degraded"]["include"] == ["1.png", "9.png"]
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| method | derain [y], 2 seeds |" in page
    assert "Not measured yet: denoise, deblur." in page
    assert (tmp_path / "out" / "derain-picture.jpg").stat().st_size > 1000


def test_blur(study: dict[str, Any]) -> None:
    """Videos are on one side, and the network that continues is the one that ships."""
    recipe = study["recipe_of"]("deblur", {})
    validation = recipe.data.validation.degraded.include
    assert validation == ["GOPR0384_11_00_st_1.png", "GOPR0384_11_02_st_1.png"]
    assert recipe.data.real[0].include == ["GOPR0374_11_00_st_1.png"]
    assert recipe.training.start == MODELS / "deblur.safetensors"


def test_small_recipes_trained_whole(study: dict[str, Any], tmp_path: Path) -> None:
    whole = runpy.run_path(str(STUDY / "whole.py"))
    for task in ("derain", "deblur"):
        recipe = whole["recipe_of"](task, "noise-space", {})
        folders = {"data.clean": str(tmp_path), "data.real": str(tmp_path)}
        shipped = read_recipe(f"{task}-small", folders)
        for part in ("degradation", "network", "objective", "training"):
            assert getattr(recipe, part) == getattr(shipped, part), part
    options = ["--tasks", "derain", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path)]
    for key, value in {**SETTINGS, "data.cache": str(tmp_path / "cache")}.items():
        if not key.startswith("compare."):
            options += ["--set", f"{key}={json.dumps(value)}"]
    whole["main"](options)
    results = json.loads((tmp_path / "whole" / "derain.json").read_text())
    for name in ("noise-space", "vanilla"):
        assert results[name]["steps"] == 2
        assert results[name]["wall"]["seconds"] > 0
        scores = results[name]["scores"]
        assert len(scores["images"]) == 2
        # training itself validates by the protocol of the task
        validated = open_model(tmp_path / "runs" / "derain" / name)[1].scores["validation"]
        assert validated["protocol"] == scores["protocol"] == "y"
        assert validated["psnr"] == pytest.approx(scores["mean"]["psnr"], abs=1e-6)
    with pytest.raises(RunError, match="of another recipe"):
        whole["main"]([*options, "--set", "training.images=6"])
    page = (tmp_path / "README.md").read_text()
    # the tests' photos are without rain
    psnr = results["vanilla"]["scores"]["mean"]["psnr"]
    assert re.search(rf"\| `derain-small` \| y \| 2 \| –, \S+ \| {psnr:.2f}, ", page)


def test_lengths_are_those_of_the_recipes(study: dict[str, Any]) -> None:
    """Of the comparisons: what is added but for folders and the start changes no result."""
    for task in ("derain", "deblur"):
        shipped = read_recipe(f"{task}-small", {"data.clean": "a", "data.real": "b"})
        found = study["recipe_of"](task, {}).dump()["compare"]
        expected = shipped.dump()["compare"]
        assert (found["images"], found["methods"]) == (expected["images"], expected["methods"])
        assert found["training"]["learning_rate"] == expected["training"]["learning_rate"]


def test_readme_is_that_of_the_results() -> None:
    summary = runpy.run_path(str(STUDY / "summary.py"))
    assert (STUDY / "README.md").read_text() == summary["readme"]()
