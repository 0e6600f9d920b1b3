"""`noiseda compare`: its figures, tables and cells."""

from __future__ import annotations

import csv
import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from noiseda import images
from noiseda.checkpoint import open_model
from noiseda.evaluation import evaluate, pair
from noiseda.restoration import load
from noiseda.training import read_recipe, train
from tests.end_to_end.comparing import METHODS, mean_psnr
from tests.end_to_end.conftest import Command


def test_a_comparison(recipe: Path, command: Command) -> None:
    code, out, err = command("compare", recipe, *METHODS, "--seeds", 2, "-o", "out")
    assert code == 0, err
    folder = recipe.parent / "out"
    results = json.loads((folder / "results.json").read_text())
    assert results["protocol"] == "rgb"
    assert results["images"] == {"target": 2, "source": 2}
    assert {"torch", "threads"} <= results["environment"].keys()
    check_lengths(results)
    check_table(results, folder, out)
    check_cells(results, recipe, folder)
    picture = images.read_rgb8(folder / "picture.png")
    # six columns of 24 pixels, two rows
    assert picture.shape[0] >= 2 * 24
    assert picture.shape[1] >= 6 * 24
    for name in ("results.json", "table.md", "table.csv", "picture.png"):
        assert f"out/{name}" in out.splitlines()

    # once more: nothing is done again, and the figures are the same
    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in folder.glob("seed-*/**/*")}

    before = stamps()
    code, _, err = command("compare", recipe, *METHODS, "--seeds", 2, "-o", "out")
    assert code == 0, err
    assert stamps() == before
    assert json.loads((folder / "results.json").read_text()) == results
    # fewer methods and seeds: what is there is used
    code, _, err = command("compare", recipe, "--methods", "oracle", "--seeds", 1, "-o", "out")
    assert code == 0, err
    assert stamps() == before
    fewer = json.loads((folder / "results.json").read_text())
    assert (fewer["methods"], fewer["seeds"]) == (["oracle", "vanilla"], [0])
    kept = [c for c in results["cells"] if c["method"] in ("oracle", "vanilla") and not c["seed"]]
    assert [c for c in fewer["cells"] if c["method"] in ("oracle", "vanilla")] == kept

    # one view alone: its table is the same
    one = (*METHODS, "--seeds", 2, "--view", "equal-steps")
    code, out, err = command("compare", recipe, *one, "-o", "out")
    assert code == 0, err
    assert stamps() == before
    assert "equal wall time" not in out.lower()
    single = json.loads((folder / "results.json").read_text())
    both = {row["method"]: row for row in results["summary"] if row["view"] == "equal-steps"}
    assert {row["method"]: row for row in single["summary"]} == both
    code, _, err = command("compare", recipe, "--view", "equal-luck", "-o", "out")
    assert (code, err.strip()) == (
        2,
        "noiseda: --view equal-luck: choose equal-steps, equal-time or both",
    )

    # another recipe is told before anything is done
    change = ("--set", "training.learning_rate=0.5")
    code, out, err = command("compare", recipe, *METHODS, *change, "-o", "out")
    assert (code, out) == (2, "")
    message = err.splitlines()[-1]
    assert "out/seed-0/start: its training has training.learning_rate 0.01, not 0.5" in message
    code, _, err = command("compare", recipe, *METHODS, "--images", 99, "-o", "out")
    assert code == 2
    assert "has --images 10, not 99" in err
    assert stamps() == before


def check_lengths(results: dict[str, Any]) -> None:
    """Equal steps are equal; equal time is what the slowest needs for them."""
    speeds = results["plan"]["speeds"]
    assert set(speeds) == {"vanilla", "noise-space", "oracle"}
    budget = results["views"]["equal-time"]["seconds"]
    assert budget == pytest.approx(5 * max(speeds.values()))
    for cell in results["cells"]:
        if cell["method"] not in speeds:
            assert (cell["steps"], cell["seconds"]) == (0, 0)
            continue
        assert cell["seconds"] > 0
        if "equal-steps" in cell["views"]:
            assert cell["steps"] == 5
        if "equal-time" in cell["views"]:
            assert cell["steps"] == round(budget / speeds[cell["method"]])
    slowest = max(speeds, key=speeds.__getitem__)
    assert [c["views"] for c in results["cells"] if c["method"] == slowest] == [
        ["equal-steps", "equal-time"]
    ] * 2
    # the predictor's work is seen in the speed
    assert speeds["noise-space"] > speeds["vanilla"]


def check_table(results: dict[str, Any], folder: Path, out: str) -> None:
    """Every number of the tables, from the images' scores alone."""
    methods = {"input", "start", "noise-space", "oracle", "vanilla"}

    def scores(view: str, method: str, seed: int, domain: str = "target") -> dict[str, Any]:
        (cell,) = [
            cell
            for cell in results["cells"]
            if cell["method"] == method and cell["seed"] in (seed, None) and view in cell["views"]
        ]
        assert cell["scores"][domain]["protocol"] == "rgb"
        assert len(cell["scores"][domain]["images"]) == 2
        return cell["scores"][domain]

    with (folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    page = (folder / "table.md").read_text()
    assert len(rows) == 2 * len(methods)
    for row in rows:
        view, method = row["view"], row["method"]
        psnr = [mean_psnr(scores(view, method, seed)) for seed in (0, 1)]
        vanilla, oracle = (
            [mean_psnr(scores(view, name, seed)) for seed in (0, 1)]
            for name in ("vanilla", "oracle")
        )
        closure = [
            100 * (value - low) / (high - low)
            for value, low, high in zip(psnr, vanilla, oracle, strict=True)
        ]
        source = [
            mean_psnr(scores(view, method, seed, "source"))
            - mean_psnr(scores(view, "vanilla", seed, "source"))
            for seed in (0, 1)
        ]
        assert float(row["psnr_mean"]) == pytest.approx(statistics.fmean(psnr))
        assert float(row["closure_percent_mean"]) == pytest.approx(statistics.fmean(closure))
        assert float(row["closure_percent_std"]) == pytest.approx(statistics.stdev(closure))
        assert float(row["source_psnr_change_mean"]) == pytest.approx(statistics.fmean(source))
        assert (row["images"], row["source_images"], row["seeds"]) == ("2", "2", "2")
        texts = [f"{statistics.fmean(psnr):.2f}", f"{statistics.fmean(closure):.1f}"]
        # the sign of a zero is that of a rounding error, which summing in another order changes
        texts[1] = "-?0.0" if float(texts[1]) == 0 else texts[1]
        assert re.search(rf"\| {method} \| {texts[0]}.*\| {texts[1]} ± ", page), method
        assert method in out
    order = [row["method"] for row in rows if row["view"] == "equal-time"]
    by_closure = sorted(
        (row for row in rows if row["view"] == "equal-time"),
        key=lambda row: -float(row["closure_percent_mean"]),
    )
    assert order == [row["method"] for row in by_closure]
    assert set(order) == methods
    assert "Equal steps (5 steps): 2 images, 2 seeds" in out


def check_cells(results: dict[str, Any], recipe: Path, folder: Path) -> None:
    """Run folders like any other, whose scores anybody can repeat."""
    home = recipe.parent
    for cell in results["cells"]:
        if cell["method"] == "input":
            continue
        run = folder / cell["folder"]
        own = read_recipe(run / "recipe.yaml")
        _, info = open_model(run)
        assert info.provenance["step"] == own.steps
        assert bool(own.data.truth) == (cell["method"] == "oracle")
        restorer = load(run)
        pairs = pair(home / "held-out" / "noisy", home / "held-out" / "clean")
        again = evaluate(
            (name, restorer.pixels(images.read(noisy).pixels), images.read_rgb8(clean))
            for name, noisy, clean in pairs
        )
        assert cell["scores"]["target"]["images"] == again.images
    # a cell is what `noiseda train` makes of its recipe, which knows no ground truth
    (home / "truth").rename(home / "hidden")
    (cell,) = [c for c in results["cells"] if c["method"] == "noise-space" and c["seed"] == 1]
    own = read_recipe(folder / cell["folder"] / "recipe.yaml")
    assert train(own, home / "alone").finished
    alone, compared = (load_file(f / "model.safetensors")
                       for f in (home / "alone", folder / cell["folder"]))  # fmt: skip
    assert all(torch.equal(value, compared[name]) for name, value in alone.items())
    (home / "hidden").rename(home / "truth")
