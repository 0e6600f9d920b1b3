"""`noiseda compare`: its figures, and what a stop, a kill or another recipe does to them."""

from __future__ import annotations

import copy
import csv
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from noiseda import images
from noiseda.adaptation import OBJECTIVES, Vanilla
from noiseda.checkpoint import open_model
from noiseda.comparison import UNTRAINED, Comparison
from noiseda.evaluation import evaluate, pair
from noiseda.restoration import load
from noiseda.training import read_recipe, train
from tests.comparison.recipes import write_recipe
from tests.conftest import ENVIRONMENT
from tests.end_to_end.conftest import Command
from tests.end_to_end.terminal import in_terminal, plain

METHODS = ("--methods", "input,start,noise-space,oracle")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """Results without what depends on the clock."""
    found = copy.deepcopy(results)
    found.pop("seconds_per_step")
    for part in (*found["cells"], *found["summary"], found["views"]["equal-time"]):
        part.pop("seconds")
        if "pretraining" in part:
            part["pretraining"].pop("seconds")
    return found


def mean_psnr(scores: dict[str, Any]) -> float:
    return statistics.fmean(image["psnr"] for image in scores["images"])


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
    speeds = results["seconds_per_step"]
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


def test_killed_and_resumed(recipe: Path, command: Command) -> None:
    """Killed in the middle of a continuation, then asked to stop in another."""
    home = recipe.parent
    arguments = ["compare", recipe, *METHODS, "--seeds", 1, "--images", 40]
    # long enough to be hit
    arguments += ["--set", "training.images=40", "--set", "training.checkpoint_every=10"]
    broken, whole = home / "broken", home / "whole"

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "noiseda", *map(str, [*arguments, "-o", broken])],
            env=ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def wait_for(pattern: str, step: int, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            for path in broken.glob(pattern):
                lines = path.read_text().splitlines()
                if lines and lines[-1].endswith("}") and json.loads(lines[-1])["step"] >= step:
                    return
            time.sleep(0.02)
        raise TimeoutError

    process = start()
    wait_for("seed-0/vanilla/*/metrics.jsonl", 5, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    plan = (broken / "plan.json").read_bytes()
    assert not (broken / "results.json").exists()
    process = start()
    wait_for("seed-0/oracle/*/metrics.jsonl", 5, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (130, ""), err
    assert "interrupted; run the same command again to do the rest" in err
    assert "Traceback" not in err
    # a folder that a killed process has only begun to fill
    shutil.rmtree(broken / "seed-0" / "oracle")
    (broken / "seed-0" / "oracle" / "20-steps" / "checkpoints").mkdir(parents=True)
    code, _, err = command(*arguments, "-o", broken)
    assert code == 0, err
    # the same lengths in a comparison that nobody stopped
    whole.mkdir()
    shutil.copyfile(broken / "plan.json", whole / "plan.json")
    code, _, err = command(*arguments, "-o", whole)
    assert code == 0, err
    found = [json.loads((folder / "results.json").read_text()) for folder in (broken, whole)]
    assert without_times(found[0]) == without_times(found[1])
    # what was measured once is not measured again
    assert plan == (broken / "plan.json").read_bytes() == (whole / "plan.json").read_bytes()
    for path in whole.glob("seed-*/**/model.safetensors"):
        resumed = load_file(broken / path.relative_to(whole))
        assert all(torch.equal(value, resumed[name]) for name, value in load_file(path).items())
    assert all(c["seconds"] is not None for c in found[0]["cells"])


def test_dry_run(recipe: Path, command: Command) -> None:
    code, out, err = command("compare", recipe, *METHODS, "--seeds", 2, "--dry-run", "-o", "out")
    assert code == 0, err
    lines = out.splitlines()
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[:-2]]
    assert rows[0] == ["method", "at", "steps", "ms a step", "time"]
    assert rows[1][:3] == ["start", "pretraining", "8"]
    assert {row[0] for row in rows[1:]} == {"start", "vanilla", "noise-space", "oracle"}
    assert re.fullmatch(
        r"2 seeds: \d+ trainings, 0 of them finished; about \d+ s to go, without scoring", lines[-1]
    )
    assert not (recipe.parent / "out").exists()


def test_progress_in_a_terminal(recipe: Path) -> None:
    names = ("--methods", "input", "--seeds", "1")
    code, _, shown = in_terminal("compare", recipe, *names, "-o", recipe.parent / "out")
    assert code == 0, shown
    text = plain(shown)
    assert re.search(r"measuring speeds ━+ 3/3 +trials", text)
    assert re.search(
        r"comparing ━+[ ╸━]* \d+% .* ETA .* training 2/2: vanilla, seed 0, 5 step", text
    )
    assert re.search(r"comparing ━+ 100%", text)
    # below it, what goes on; of that nothing stays
    assert re.search(r"comparing .*\n *vanilla, seed 0, 5 steps .* \d+/10 images", text)
    assert "scoring vanilla" in text
    assert text.splitlines()[-1].startswith("comparing ")


class Spy(Vanilla):
    """A method of somebody else's, which looks for what it must not see."""

    needs = ("clean", "synthetic", "real")

    def terms(self, restorer: Any, batch: Any, progress: float, random: Any) -> Any:
        assert set(batch) == set(self.needs)
        return super().terms(restorer, batch, progress, random)


def test_methods_of_others(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered objectives and functions take part by name; a model may be given to start from."""
    monkeypatch.setitem(OBJECTIVES._parts, "spy", Spy)
    monkeypatch.setitem(UNTRAINED, "brighter", lambda image: (image / 0.6).clamp(0, 1))
    home = recipe.parent
    assert train(read_recipe(recipe, {"objective": "vanilla"}), home / "given").finished
    given = read_recipe(recipe, {"training.start": home / "given"})
    names = ["start", "spy", "brighter", "input", "oracle"]
    results = Comparison(given, home / "out", names, minutes=0.002).run()
    assert results["views"]["equal-time"] == {"seconds": pytest.approx(0.12)}
    methods = [cell["method"] for cell in results["cells"]]
    assert methods[:3] == ["start", "brighter", "input"]
    assert set(methods[3:]) == {"vanilla", "spy", "oracle"}
    # with the same samples and the same loss, the spy is vanilla
    found = {cell["method"]: cell["scores"] for cell in results["cells"] if cell["steps"] in (0, 5)}
    assert found["spy"] == found["vanilla"]
    assert mean_psnr(found["brighter"]["target"]) > mean_psnr(found["input"]["target"]) + 3
    assert not (home / "out" / "seed-0" / "start").exists()

    # one more method, with a network of its own, leaves the others as they are
    own = {"name": "vanilla", "network": {"name": "unet", "width": 3, "depth": 1}}
    wider = read_recipe(recipe, {"training.start": home / "given", "compare.methods.own": own})
    more = Comparison(wider, home / "out", [*names, "own"], minutes=0.002).run()
    assert [cell for cell in more["cells"] if cell["method"] != "own"] == results["cells"]
    assert more["from_fresh_weights"] == ["own"]
    assert {c["method"] for c in more["cells"]} == {*methods, "own"}
    network, _ = open_model(home / "out" / "seed-0" / "own" / "5-steps")
    assert network.options["width"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "nose-space"), "unknown method 'nose-space'; did you mean 'noise-space'?"),
        (("--methods", " , "), "--methods names none"),
        (("--set", "data.validation=null"), "a comparison needs held-out images with ground truth"),
        (("--methods", "oracle", "--set", "data.truth=[]"), "method 'oracle' needs data.truth"),
        (("--methods", "oracle", "--set", "data.truth=held-out/clean"), "cannot pair the images"),
        (("--set", "data.validation.clean=truth"), "cannot pair the images"),
        (("--methods", "noise-space", "--set", "data.real=[]"), "needs data.real"),
        (("--set", "compare.source=clean"), "are trained on too (a.png)"),
        (("--set", "compare.source=nowhere"), "nowhere: no such folder"),
        (("--set", "training.start=nowhere"), "nowhere: cannot open the model"),
        (("--set", "compare.imags=3"), "unknown key 'compare.imags'; did you mean 'images'?"),
        (("-o", "clean"), "clean exists already and is no comparison"),
        (("-o", "compare.yaml/out"), "cannot write"),
        (("--seeds", "0"), "--seeds"),
    ],
)
def test_bad_input(
    recipe: Path, refused: Callable[..., str], arguments: tuple[str, ...], words: str
) -> None:
    before = {path for path in recipe.parent.rglob("*") if "cache" not in path.parts}
    assert words in refused("compare", recipe, *arguments)
    assert {path for path in recipe.parent.rglob("*") if "cache" not in path.parts} == before
