"""`noiseda compare`: what a stop, a kill, another recipe and bad input do to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from noiseda.adaptation import OBJECTIVES, Vanilla
from noiseda.checkpoint import open_model
from noiseda.comparison import UNTRAINED, Comparison
from noiseda.training import read_recipe, train
from tests.conftest import ENVIRONMENT
from tests.end_to_end.comparing import METHODS, mean_psnr, without_times
from tests.end_to_end.conftest import Command
from tests.end_to_end.terminal import in_terminal, plain


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


def test_results_outlive_their_folder(recipe: Path) -> None:
    """What an earlier part has scored is taken from its results; only a new method is trained."""
    content = read_recipe(recipe)
    first = Comparison(content, recipe.parent / "first", ["input", "oracle"]).run()
    shutil.rmtree(recipe.parent / "first")
    second = recipe.parent / "second"
    names = ["input", "oracle", "noise-space"]
    found = Comparison(content, second, names, earlier=first).run()
    trained = {path.parent.name for path in second.glob("seed-0/*/*-steps")}
    assert trained == {"noise-space"}
    assert found["plan"]["speeds"].items() > first["plan"]["speeds"].items()
    # what the new one continues from is trained again
    known = [cell for cell in first["cells"] if cell["method"] != "start"]
    assert {cell["method"] for cell in known} == {"input", "oracle", "vanilla"}
    assert all(cell in found["cells"] for cell in known)
    # there is no model to show of the others
    assert not (second / "picture.png").exists()
    # other steps of the same method are not known
    longer = read_recipe(recipe, {"compare.images": 30})
    again = Comparison(longer, recipe.parent / "third", ["input"], earlier=first).run()
    assert {cell["steps"] for cell in again["cells"] if cell["method"] == "vanilla"} >= {15}


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
    # longer than the picture takes to be drawn again, also on a fast machine
    names = ("--methods", "input", "--seeds", "1", "--set", "compare.images=200")
    code, _, shown = in_terminal("compare", recipe, *names, "-o", recipe.parent / "out")
    assert code == 0, shown
    text = plain(shown)
    assert re.search(r"measuring speeds ━+ 3/3 +trials", text)
    assert re.search(
        r"comparing ━+[ ╸━]* \d+% .* ETA .* training 2/2: vanilla, seed 0, 100 step", text
    )
    assert re.search(r"comparing ━+ 100%", text)
    # below it, what goes on; of that nothing stays
    assert re.search(r"comparing .*\n *vanilla, seed 0, 100 steps .* \d+/200 images", text)
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
