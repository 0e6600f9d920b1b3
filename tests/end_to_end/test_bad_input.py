"""`noiseda train` with something wrong: one line, exit code 2, and nothing is made or changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from noiseda import networks
from noiseda.checkpoint import save
from tests.conftest import write_photos

Refused = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """Model files to start from that do not fit the recipe."""
    folder = tmp_path / "models"
    folder.mkdir()
    save(folder / "wide.safetensors", networks.build("unet", width=8, depth=2))
    rain = networks.build("unet", width=4, depth=2, upsampling="half-pixel")
    save(folder / "rain.safetensors", rain, task="derain")
    (folder / "text.safetensors").write_text("no model")
    return folder


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("data.real=[]", "needs data.real; give a folder of images with --set data.real=FOLDER"),
        ("objective.mode=unpaired", "needs data.unpaired"),
        ("data.clean=absent", "absent: no such folder"),
        ("data.real=empty", "empty: no image in this folder (it is empty)"),
        ("data.real=models", "models: no image in this folder (3 other files)"),
        ("data.real={folder: real, include: ['*.jpg']}", "none of its 2 images matches"),
        ("data.cache=tiny.yaml", "tiny.yaml/"),
        ("training.start=models/wide.safetensors", "recipe's differs in width, upsampling;"),
        ("training.start=models/rain.safetensors", "this model is for 'derain', not for 'denoise'"),
        ("training.start=models/text.safetensors", "not a whole model file"),
        ("training.start=models/none.safetensors", "no such file"),
        ("data.patch=17", "data.patch 17 must be a multiple of 2"),
        ("data.validation={degraded: real, clean: clean}", "cannot pair the images"),
        ("data.validation={degraded: real, clean: other}", "of another size than the clean"),
        ("objective.steps=[900, 2000]", "steps 900 to 2000"),
        ("objective.predictor.head_channels=3", "head_channels=3 does not divide"),
        ("training.imgaes=5", "unknown key 'training.imgaes'; did you mean 'images'?"),
        ("data.batch", "expected key=value"),
    ],
)
def test_recipe(recipe_file: Path, start: Path, refused: Refused, key: str, words: str) -> None:
    folder = recipe_file.parent
    (folder / "empty").mkdir()
    write_photos(folder / "other", ["x.png", "y.png"], (20, 20))
    assert words in refused("train", recipe_file, "-o", "new/run", "--set", key)
    assert not (folder / "new").exists()
    # a trial run finds the same, but not what only differs between machines
    assert words in refused("train", recipe_file, "--dry-run", "--set", key)


def test_unreadable_images(recipe_file: Path, refused: Refused) -> None:
    clean = recipe_file.parent / "clean"
    (clean / "a.png").write_bytes((clean / "a.png").read_bytes()[:100])
    (clean / "sub" / "c.png").write_text("no image")
    message = refused("train", recipe_file, "-o", "run")
    assert "2 of 3 images cannot be read" in message
    assert str(clean / "a.png") in message
    assert str(clean / "sub" / "c.png") in message
    assert not (recipe_file.parent / "run").exists()


def test_folders(recipe_file: Path, refused: Refused) -> None:
    (recipe_file.parent / "full").mkdir()
    (recipe_file.parent / "full" / "notes.txt").write_text("mine")
    assert "full exists already" in refused("train", recipe_file, "-o", "full")
    assert "tiny.yaml exists already" in refused("train", recipe_file, "-o", "tiny.yaml")
    message = refused("train", recipe_file, "-o", "tiny.yaml/run")
    assert "tiny.yaml/run: cannot write the run folder" in message
    # before minutes of decoding
    assert not (recipe_file.parent / "cache").exists()
    assert [path.name for path in (recipe_file.parent / "full").iterdir()] == ["notes.txt"]
    # what the first step would find, the folder must not be made for
    assert "not a run folder" in refused("train", "--resume", "full")
    assert "not a run folder" in refused("train", "--resume", "absent")


def test_arguments(recipe_file: Path, refused: Refused) -> None:
    assert "give a recipe to train, or --resume" in refused("train")
    assert "give a recipe to train, or --resume" in refused("train", recipe_file, "--resume", "a")
    assert "takes no other option" in refused("train", "--resume", "a", "--dry-run")
    assert "--bogus" in refused("train", recipe_file, "--bogus")
    assert "did you mean 'denoise-small'?" in refused("train", "denoise-smal")
    recipe_file.write_text("name: [")
    assert "tiny.yaml: not valid YAML" in refused("train", recipe_file)


def test_a_changed_run_folder(recipe_file: Path, refused: Refused) -> None:
    """Resuming says what is wrong with a folder that somebody has worked on."""
    run = recipe_file.parent / "run"
    (run / "checkpoints").mkdir(parents=True)
    content = yaml.safe_load(recipe_file.read_text())
    (run / "recipe.yaml").write_text(yaml.safe_dump({**content, "sede": 1}))
    assert "unknown key 'sede'; did you mean 'seed'?" in refused("train", "--resume", run)
    (run / "recipe.yaml").write_text(yaml.safe_dump(content))
    (run / "checkpoints" / "000000004.ckpt").write_bytes(b"PK\3\4 torn")
    # not one of ours, whatever it holds
    (run / "checkpoints" / "best.ckpt").touch()
    assert "000000004.ckpt: damaged; remove it" in refused("train", "--resume", run)
