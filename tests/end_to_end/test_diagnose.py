"""`noiseda diagnose`: what it writes about a run, and what it says of what is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from noiseda import images
from tests.conftest import write_photos
from tests.end_to_end.conftest import Command

Refused = Callable[..., str]


@pytest.fixture
def run(recipe_file: Path, command: Command) -> Path:
    """A finished run with validation, whose last step is no multiple of the interval."""
    home = recipe_file.parent
    write_photos(home / "noisy", ["a.png", "b.png"], (20, 30))
    write_photos(home / "truth", ["a.png", "b.png"], (20, 30))
    content = yaml.safe_load(recipe_file.read_text())
    content["data"]["validation"] = {"degraded": "noisy", "clean": "truth"}
    content["training"] |= {"images": 22, "checkpoint_every": 8}
    recipe_file.write_text(yaml.safe_dump(content))
    code, _, err = command("train", recipe_file, "-o", "run")
    assert code == 0, err
    return home / "run"


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, float) else []


def test_a_finished_run(
    run: Path, noiseda: Callable[..., subprocess.CompletedProcess[str]], command: Command
) -> None:
    # also the step that no interval ends with
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["000000011.ckpt"]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = noiseda("diagnose", "run", "--images", "2", cwd=run.parent)
    assert (done.returncode, done.stderr) == (0, "")
    folder = run / "diagnosis"
    assert {path.name for path in folder.iterdir()} == {
        f"diagnosis.{s}" for s in ("json", "png", "md")
    }
    assert all(path.read_bytes() == content for path, content in before.items())
    text = (folder / "diagnosis.json").read_text()
    content = json.loads(text)
    # what it says
    *lines, last = done.stdout.splitlines()
    assert lines == [f"- {line}" for line in content["verdict"]]
    assert last == "plots: run/diagnosis/diagnosis.png"
    words = (folder / "diagnosis.md").read_text()
    assert words.startswith("# Diagnosis of run\n")
    assert all(f"- {line}\n" in words for line in content["verdict"])
    picture = images.read_rgb8(folder / "diagnosis.png")
    assert picture.shape[1] == 1700
    assert picture.std() > 10
    # what it measured
    assert (content["step"], content["checkpoint"]) == (11, "000000011.ckpt")
    assert (content["network"], content["patch"], content["images"]) == ("raw", 16, 2)
    assert content["ground_truth"]
    assert set(content["photos"]) == {"a.png", "b.png"}
    assert len(content["levels"]["gamma"]) == 12
    errors = content["conditions"]["errors"]
    assert errors.keys() == {"every", "real"}
    for found in errors.values():
        assert found.keys() == {"clean", "restored", "degraded", "wrong"}
    assert all(error > 0 for error in numbers(errors))
    for domain in ("synthetic", "real"):
        assert all(size > 0 for size in content["gradients"]["images"]["norm"][domain]["mean"])
        for found in content["gradients"]["images"]["cosine_toward_clean"][domain].values():
            assert all(-1 <= mean <= 1 for mean in found["mean"])

    # again: the same, and other options other numbers
    for name, more in {"same": [], "seed": ["--seed", "1"], "average": ["--averaged"]}.items():
        code, _, err = command("diagnose", run, "--images", "2", "-o", name, *more)
        assert code == 0, err
        again = json.loads(Path(name, "diagnosis.json").read_text())
        assert (again == content) == (name == "same")
        assert (again["gradients"] == content["gradients"]) == (name == "same")
    unvalidated = ("diagnose", run, "--patch", "8", "--set", "data.validation=null")
    code, out, err = command(*unvalidated)
    assert (code, out) == (2, "")
    assert "diagnosis/diagnosis.json exists; replace the diagnosis with --overwrite" in err
    assert (folder / "diagnosis.json").read_text() == text
    code, out, err = command(*unvalidated, "--images", "3", "--overwrite")
    assert code == 0, err
    assert out.startswith("- No ground truth")
    content = json.loads((folder / "diagnosis.json").read_text())
    assert (content["patch"], set(content["photos"])) == (8, {"x.png", "y.png"})


def test_images_drawn_from_the_noise_predictor(
    recipe_file: Path, command: Command, refused: Refused
) -> None:
    keys = {"task": "derain", "degradation": "rain", "network.value_range": "signed"}
    keys["training.images"] = "4"
    sets = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    code, _, err = command("train", recipe_file, "-o", "run", *sets)
    assert code == 0, err
    message = refused("diagnose", "run", "--samples", "2", "--images", "2", "--steps", "1001")
    assert "sampling steps 1001: choose from 1 to 1000" in message
    assert "samples 4: from 1 to 3" in refused("diagnose", "run", "--samples", "4", "--images", "3")
    assert not Path("run", "diagnosis").exists()
    few = ("diagnose", "run", "-o", "drawn", "--images", "3")
    code, out, err = command(*few, "--samples", "2", "--sampler", "ddpm", "--steps", "7")
    assert code == 0, err
    assert "drawn: drawn/samples.png" in out
    drawn = json.loads(Path("drawn", "diagnosis.json").read_text())
    found = drawn.pop("samples")
    assert (found["sampler"], found["steps"], found["count"]) == ("ddpm", 7, 2)
    assert len(found["psnr_to_target"]) == 2
    # two rows of crops below the captions
    picture = images.read_rgb8("drawn/samples.png")
    assert picture.shape[0] > 2 * 16
    assert picture.std() > 10
    # the measures do not depend on it, and an old picture does not stay beside new numbers
    assert command(*few, "--overwrite")[0] == 0
    assert json.loads(Path("drawn", "diagnosis.json").read_text()) == drawn
    assert not Path("drawn", "samples.png").exists()


def test_the_last_checkpoint_continues_to_the_same_model(run: Path, command: Command) -> None:
    model = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").unlink()
    code, _, err = command("train", "--resume", run)
    assert code == 0, err
    assert (run / "model.safetensors").read_bytes() == model
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["000000011.ckpt"]


def test_bad_input_of_a_run(run: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("--images", "2")
    assert "patch 10 must be a multiple of 4" in refused("diagnose", run, "--patch", "10")
    assert "absent.ckpt: no such checkpoint" in refused(
        "diagnose", run, "--checkpoint", "absent.ckpt"
    )
    message = refused("diagnose", run, *few, "--set", "network.width=8")
    assert "000000011.ckpt: its weights are not of the networks in the run's recipe: " in message
    assert "size mismatch for restorer." in message
    shutil.move("noisy", "elsewhere")
    assert "noisy: no such folder" in refused("diagnose", run, *few)
    shutil.move("elsewhere", "noisy")
    Path("file").touch()
    assert "file is a file; choose a folder" in refused("diagnose", run, *few, "-o", "file")
    assert "cannot write the diagnosis" in refused("diagnose", run, *few, "-o", "file/in")
    (checkpoint,) = (run / "checkpoints").iterdir()
    whole = checkpoint.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"PK\3\4 torn"):
        checkpoint.write_bytes(damaged)
        assert "000000011.ckpt: damaged, or no checkpoint" in refused("diagnose", run, *few)
    checkpoint.unlink()
    message = refused("diagnose", run, *few)
    assert "run/checkpoints: no checkpoint, which alone holds the noise predictor" in message
    assert not (run / "diagnosis").exists()
    # as if it were not installed
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'noiseda[plots]'" in refused("diagnose", run, *few)


def test_bad_input(recipe_file: Path, refused: Refused) -> None:
    assert "absent: not a run folder (it has no recipe.yaml)" in refused("diagnose", "absent")
    assert "--images" in refused("diagnose", "absent", "--images", "1")
    folder = recipe_file.parent / "vanilla"
    folder.mkdir()
    content = yaml.safe_load(recipe_file.read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**content, "objective": "vanilla"}))
    message = refused("diagnose", folder)
    assert "its objective 'vanilla' has no noise predictor; give a run of" in message
