"""`noiseda train`: what a run folder holds, and what happens when something is wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from noiseda import degradations, images, networks
from noiseda.checkpoint import open_model
from noiseda.random import generator
from noiseda.training import read_recipe
from tests.conftest import write_photos
from tests.end_to_end.conftest import Command
from tests.end_to_end.terminal import in_terminal, plain

TERMS = ["restoration", "noise", "noise_negative", "triplet", "diffusion", "weight", "loss"]


@pytest.fixture
def relative_recipe(recipe_file: Path) -> Path:
    """The recipe with validation, its folders relative to the folder it lies in."""
    folder = recipe_file.parent
    write_photos(folder / "truth", ["a.png", "b.png"])
    camera = degradations.build("camera")
    for number, path in enumerate(sorted((folder / "truth").iterdir())):
        clean = images.to_tensor(images.read_rgb8(path))
        # one of them with 16 bits, which must not be rounded before restoring
        pixels = images.to_pixels(camera(clean, generator(number)), (np.uint8, np.uint16)[number])
        (folder / "noisy").mkdir(exist_ok=True)
        images.write(folder / "noisy" / path.name, pixels)
    content = yaml.safe_load(recipe_file.read_text().replace(f"{folder}/", ""))
    content["data"]["validation"] = {"degraded": "noisy", "clean": "truth"}
    content["training"]["validate_every"] = 16
    recipe_file.write_text(yaml.safe_dump(content))
    return recipe_file


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_run_folder(
    relative_recipe: Path,
    noiseda: Callable[..., subprocess.CompletedProcess[str]],
    command: Command,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = relative_recipe.parent
    run = home / "runs" / "tiny"
    done = noiseda("train", relative_recipe.name, cwd=home)
    assert done.returncode == 0, done.stderr
    # what it says
    model_line, score_line = done.stdout.splitlines()
    assert model_line == "model: runs/tiny/model.safetensors"
    # no terminal: no progress bar, and plain lines only about what takes long
    for line in done.stderr.splitlines():
        assert re.fullmatch(r"[\w ]+: [\d/]+ \w*, \d:\d\d:\d\d(, ETA .*)?", line)
    # what it holds
    names = {path.name for path in run.iterdir()}
    assert {"recipe.yaml", "checkpoints", "model.safetensors", "metrics.jsonl"} <= names
    assert {"noiseda", "torch", "lightning", "threads"} <= json.loads(
        (run / "environment.json").read_text()
    ).keys()
    check_metrics(run)
    check_weights(run)
    # the scores in the model are those that `evaluate` finds
    network, info = open_model(run)
    scores = info.scores["validation"]
    code, _, err = command(
        *("evaluate", "--model", run, "--degraded", home / "noisy", "--clean", home / "truth"),
        *("--json", home / "scores.json"),
    )
    assert code == 0, err
    found = json.loads((home / "scores.json").read_text())
    assert len(found["images"]) == scores["images"] == 2
    assert found["protocol"] == scores["protocol"] == "rgb"
    for name, value in found["mean"].items():
        assert scores[name] == pytest.approx(value, abs=1e-9)
    assert score_line == (
        f"validation: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f} [rgb, 2 images]"
    )
    assert info.task == "denoise"
    assert info.provenance["step"] == 24
    assert info.recipe == read_recipe(run / "recipe.yaml").shareable()

    # nothing of it is ever overwritten
    before = snapshot(run)
    monkeypatch.chdir(home)
    message = refused("train", relative_recipe)
    assert "runs/tiny exists" in message
    assert "--resume" in message
    assert "finished" in refused("train", "--resume", run)
    assert snapshot(run) == before

    # killed after the last checkpoint, and continued from elsewhere
    moved = home / "moved"
    shutil.copytree(run, moved)
    (moved / "model.safetensors").unlink()
    monkeypatch.chdir("/")
    code, out, err = command("train", "--resume", moved)
    assert (code, out.splitlines()[0]) == (0, f"model: {moved}/model.safetensors"), err
    assert (moved / "metrics.jsonl").read_text() == (run / "metrics.jsonl").read_text()
    again = load_file(moved / "model.safetensors")
    assert all(torch.equal(value, again[name]) for name, value in network.state_dict().items())

    # somebody changed its recipe
    (moved / "model.safetensors").unlink()
    recipe = (moved / "recipe.yaml").read_text()
    shutil.rmtree(home / "cache")
    for old, new, name in (
        (
            "width: 4",
            "width: 8",
            "restorer.body.down_path.0.block.0.bias is [4] there and would be [8]",
        ),
        ("base: 4", "base: 8", "objective.predictor."),
        ("depth: 2", "depth: 3", "is absent there and would be ["),
    ):
        (moved / "recipe.yaml").write_text(recipe.replace(old, new))
        message = refused("train", "--resume", moved)
        assert f"{moved}/recipe.yaml: does not describe the networks in" in message
        assert name in message
        assert "undo what was changed" in message
    # found without decoding anything
    assert not (home / "cache").exists()


def check_metrics(run: Path) -> None:
    """Every step has every term; every eighth has scores; TensorBoard has the same."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train = [line for line in lines if "train/loss" in line]
    named = {f"train/{name}" for name in [*TERMS, "gradient_restorer", "gradient_objective"]}
    assert [line["step"] for line in train] == list(range(1, 25))
    for line in train:
        assert line.keys() == {"step", "images"} | named
        assert line["images"] == 2 * line["step"]
        expected = line["train/restoration"] + line["train/weight"] * line["train/diffusion"]
        assert line["train/loss"] == pytest.approx(expected, rel=1e-5)
    scored = [line for line in lines if "validation/psnr" in line]
    assert [line["step"] for line in scored] == [8, 16, 24]
    assert scored[0].keys() == {"step", "images", "validation/psnr", "validation/ssim"}
    assert scored[-1]["validation/psnr"] == open_model(run)[1].scores["validation"]["psnr"]
    events = EventAccumulator(str(run))
    events.Reload()
    assert named <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, 25))
    assert [event.step for event in events.Scalars("validation/ssim")] == [8, 16, 24]


def check_weights(run: Path) -> None:
    """The model holds the averaged weights, which are not the raw ones."""
    (newest,) = (run / "checkpoints").glob("*.ckpt")
    assert newest.stem == "000000024"
    state = torch.load(newest, weights_only=True)["state_dict"]
    saved = load_file(run / "model.safetensors")
    assert saved.keys() == networks.build("unet", width=4, depth=2).state_dict().keys()
    for name, value in saved.items():
        assert torch.equal(value, state[f"average.module.{name}"])
        assert not torch.equal(value, state[f"restorer.{name}"])


def test_dry_run(relative_recipe: Path, command: Command) -> None:
    code, out, err = command("train", relative_recipe, "--dry-run", "--set", "seed=9")
    assert code == 0, err
    recipe, summary = out.split("\n\n", 1)
    shown = yaml.safe_load(recipe)
    assert shown["seed"] == 9
    assert shown["network"]["width"] == 4
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in summary.splitlines())
    parameters = networks.build("unet", width=4, depth=2).spec.parameters
    assert rows["restoration network"] == f"{parameters / 1e6:.3f} M parameters"
    assert rows["thrown away afterwards"].endswith("M parameters")
    assert (rows["clean images"], rows["real images"], rows["validation pairs"]) == ("3", "2", "2")
    assert rows["steps"] == "24 of 2 images of 16×16"
    assert re.fullmatch(r"about \d+ MB", rows["peak memory"])
    assert re.search(r"about \d+\.\d\d s a step, \d+ s in all", rows["time"])
    assert not (relative_recipe.parent / "runs").exists()


def test_every_phase_shows_in_a_terminal(
    relative_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(relative_recipe.parent)
    code, _, shown = in_terminal("train", relative_recipe.name, "--set", "training.log_every=1")
    assert code == 0, shown
    text = plain(shown)
    phases = ["checking validation images", "decoding clean images", "decoding real images"]
    positions = [text.index(phase) for phase in [*phases, "tiny", "validating"]]
    assert positions == sorted(positions)
    assert re.search(r"decoding clean images ━+ 3/3 +images", text)
    assert re.search(r"tiny ━+ 48/48 +images .* ETA .* loss \d\.\d{4}  validation \d", text)
    # while training, below its bar; and of the finished model
    assert re.search(r"tiny .*\n *validating .* [01]/2 +images", text)
    assert re.search(r"validating ━+ 2/2 +images", text[text.rindex("tiny ") :])
    code, _, shown = in_terminal("train", relative_recipe.name, "--dry-run")
    assert code == 0
    assert re.search(r"trying ━+ 4/4 +steps", plain(shown))


def test_not_finite(recipe_file: Path, tmp_path: Path) -> None:
    """In a terminal, because that must be usable afterwards."""
    keys = ["training.learning_rate=1", "training.checkpoint_every=2", "objective=vanilla"]
    sets = [part for key in [*keys, "network.depth=5"] for part in ("--set", key)]
    code, out, text = in_terminal("train", recipe_file, "-o", tmp_path / "run", *sets)
    assert (code, out) == (2, "")
    assert "Traceback" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is hidden"
    message = plain(text).splitlines()[-1]
    told = re.search(
        r"noiseda: the term '(\w+)' became (inf|nan) at step (\d+) \((\d+) images\); "
        r"the last good checkpoint is (\S+\.ckpt)\. Try a lower training\.learning_rate",
        message,
    )
    assert told, message
    assert told[1] in {"restoration", "gradient_restorer"}
    assert int(told[4]) == 2 * int(told[3])
    kept = Path(told[5])
    assert int(kept.stem) == int(told[3])
    state = torch.load(kept, weights_only=True)["state_dict"]
    assert all(bool(value.isfinite().all()) for value in state.values())
    assert not (tmp_path / "run" / "model.safetensors").exists()


# the second in two rounds, each with a trainer of its own
@pytest.mark.parametrize("objective", ["vanilla", "two-scale"])
def test_two_devices_make_the_run_of_one(
    recipe_file: Path,
    noiseda: Callable[..., subprocess.CompletedProcess[str]],
    command: Command,
    objective: str,
) -> None:
    keys = ["--set", f"objective={objective}", "--set", "training.images=4"]
    done = noiseda(
        *("train", recipe_file, *keys, "--set", "training.devices=2", "-o", "two"),
        cwd=recipe_file.parent,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "model: two/model.safetensors\n"
    code, _, err = command("train", recipe_file, *keys, "-o", "one")
    assert code == 0, err
    one, two = (load_file(f"{name}/model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name])
    one, two = (
        [json.loads(line) for line in Path(name, "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-5)
