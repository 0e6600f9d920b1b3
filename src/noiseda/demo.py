"""The main job on photos that ship inside scikit-image and scikit-learn, in a few minutes.

Source: clean images. Target: photos, degraded by the camera model, which nothing sees otherwise:
the folder of bad photos that a user has. Held out: yet other photos with the same degradation, for
scoring. What is printed is what was measured, whichever method wins.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noiseda import degradations, images
from noiseda.console import progress_bar
from noiseda.errors import NoiseDAError, RunError
from noiseda.evaluation import Scores, evaluate_folders, to_json
from noiseda.evaluation.picture import side_by_side
from noiseda.files import write_whole
from noiseda.judgement import Verdict
from noiseda.random import generator
from noiseda.restoration import load, plan_jobs, restore_files
from noiseda.tailoring import tailor
from noiseda.training import read_recipe, train
from noiseda.training.recipe import Recipe

SOURCE = ("hubble_deep_field.jpg", "ihc.png", "retina.jpg", "brick.png", "grass.png", "gravel.png",
          "camera.png", "coins.png", "moon.png")  # fmt: skip
TARGET = ("china.jpg", "motorcycle_left.png", "astronaut.png", "rocket.jpg")
HELD_OUT = ("chelsea.png", "coffee.png", "flower.jpg")
# a camera at high sensitivity: noise levels drawn from a narrow range, different for each photo
CAMERA = {"name": "camera", "shot": (0.006, 0.012), "read": (0.01, 0.02)}
VANILLA_IMAGES, ADAPT_MINUTES = 8000, 1.5
METHODS = {
    "input": "input",
    "vanilla": "vanilla",
    "vanilla-continued": "vanilla, continued",
    "adapted": "adapted to the photos",
}
TRAINED = [method for method in METHODS if method != "input"]
_CROP = 220


@dataclass(frozen=True)
class DemoResult:
    """What the demo measured.

    Attributes:
        folder: with `adapted/`, as `noiseda adapt` leaves it, its `model.safetensors`, and
            `restored/`, `comparison.png`, `scores.json`, `data/` and the run folders in `runs/`.
        scores: by method, see `METHODS`.
        verdict: of adapting, without ground truth.
    """

    folder: Path
    scores: dict[str, Scores]
    verdict: Verdict


def demo(
    folder: Path,
    overwrite: bool = False,
    scale: float = 1.0,
    say: Callable[[str], None] = lambda text: None,
) -> DemoResult:
    """Train, adapt, continue without adapting for as long, restore and score.

    Args:
        folder: for everything that is made; absent or empty.
        overwrite: replace an earlier demo in `folder`.
        scale: of the training lengths; 1 takes about five minutes on two CPU cores.
        say: called with lines for people.

    Raises:
        NoiseDAError: the folder is in use, or the sample photos are not installed.
    """
    photos = _sample_photos()
    _make_room(folder, overwrite)
    data = folder / "data"
    _write_data(photos, data)
    runs = folder / "runs"
    vanilla = _recipe(data, 0, round(VANILLA_IMAGES * scale))
    _train(vanilla, runs / "vanilla", "1/3 training on synthetic pairs")
    say("2/3 noiseda adapt, without clean counterparts:")
    minutes = ADAPT_MINUTES * scale
    result = tailor(data / "photos", folder / "adapted", runs / "vanilla", minutes, say=say)
    assert result is not None
    # what as many steps on synthetic pairs alone give
    images_seen = result.steps * vanilla.data.batch
    again = _recipe(data, 1, images_seen, **{"training.start": runs / "vanilla"})
    _train(again, runs / "vanilla-continued", "3/3 training on, for comparison")
    models = {name: runs / name for name in ("vanilla", "vanilla-continued")}
    models["adapted"] = folder / "adapted"
    shutil.copyfile(folder / "adapted" / "model.safetensors", folder / "model.safetensors")
    _restore(data / "held-out", models, folder / "restored")
    scores = _score(data / "held-out", folder / "restored")
    _write_results(folder, scores)
    return DemoResult(folder, scores, result.verdict)


def _sample_photos() -> dict[str, Path]:
    try:
        import skimage
        import sklearn
    except ImportError as error:
        raise NoiseDAError(
            f"the demo's photos ship inside scikit-image and scikit-learn ({error.name} is "
            "missing); install them with: pip install 'noiseda[demo]'"
        ) from None
    folders = [
        Path(str(skimage.__file__)).parent / "data",
        Path(str(sklearn.__file__)).parent / "datasets" / "images",
    ]
    found = {path.name: path for folder in folders for path in folder.iterdir()}
    missing = [name for name in SOURCE + TARGET + HELD_OUT if name not in found]
    if missing:
        raise NoiseDAError(f"the installed scikit-image lacks the photos {', '.join(missing)}")
    return found


def _make_room(folder: Path, overwrite: bool) -> None:
    ours = ("data", "runs", "adapted", "restored", "model.safetensors", "comparison.png",
            "scores.json")  # fmt: skip
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if present and not (overwrite and present <= set(ours)):
        remedy = "it holds other files too" if overwrite else "replace it with --overwrite"
        raise RunError(f"{folder} is in use; choose another folder with -o ({remedy})")
    for name in present:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot make this folder: {error.strerror}") from None


def _write_data(photos: dict[str, Path], data: Path) -> None:
    camera = degradations.build(**CAMERA)
    kinds = [("clean", SOURCE, False), ("photos", TARGET, True)]
    kinds += [("held-out/clean", HELD_OUT, False), ("held-out/noisy", HELD_OUT, True)]
    total = sum(len(names) for _, names, _ in kinds)
    with progress_bar("photos") as bar:
        task = bar.add_task("making the data", total=total, note="")
        for part, names, degraded in kinds:
            (data / part).mkdir(parents=True)
            for number, name in enumerate(names):
                pixels = images.read_rgb8(photos[name])
                if degraded:
                    noisy = camera(images.to_tensor(pixels), generator(0, number, part))
                    pixels = images.to_pixels(noisy, np.uint8)
                images.write((data / part / name).with_suffix(".png"), pixels)
                bar.advance(task)


def _recipe(data: Path, seed: int, count: int, **keys: Any) -> Recipe:
    overrides = {
        "name": "demo",
        "seed": seed,
        "data.clean": data / "clean",
        "data.cache": data / "cache",
        "objective": "vanilla",
        "training.images": count,
        "training.checkpoint_every": 10**6,
        **keys,
    }
    return read_recipe("denoise-small", overrides)


def _train(recipe: Recipe, folder: Path, description: str) -> None:
    if not train(recipe, folder, description).finished:
        raise KeyboardInterrupt


def _restore(held_out: Path, models: dict[str, Path], restored: Path) -> None:
    """Restore the held-out photos with each model."""
    jobs = {method: plan_jobs([held_out / "noisy"], restored / method) for method in models}
    sizes = (images.size(job.source) for planned in jobs.values() for job in planned)
    with progress_bar(counted=False) as bar:
        total = sum(height * width for height, width in sizes)
        task = bar.add_task("restoring held-out photos", total=total, note="")
        for method, planned in jobs.items():
            bar.update(task, note=METHODS[method])
            restorer = load(models[method])
            outcome = restore_files(restorer, planned, advance=lambda n: bar.advance(task, n))
            if outcome.interrupted:
                raise KeyboardInterrupt
            if outcome.failed:
                raise RunError(outcome.failed[0][1])


def _score(held_out: Path, restored: Path) -> dict[str, Scores]:
    """Scores of the held-out photos as they are and as each model restores them."""
    folders = {"input": held_out / "noisy", **{method: restored / method for method in TRAINED}}
    with progress_bar("photos") as bar:
        task = bar.add_task("scoring", total=len(folders) * len(HELD_OUT), note="")
        return {
            method: evaluate_folders(
                folder, held_out / "clean", progress=lambda done, total: bar.advance(task)
            )
            for method, folder in folders.items()
        }


def _write_results(folder: Path, scores: dict[str, Scores]) -> None:
    content = {method: to_json(found) for method, found in scores.items()}
    write_whole(folder / "scores.json", (json.dumps(content, indent=1) + "\n").encode())
    held_out = folder / "data" / "held-out"
    columns = {
        "input": held_out / "noisy",
        "vanilla, continued": folder / "restored" / "vanilla-continued",
        "adapted": folder / "restored" / "adapted",
        "clean": held_out / "clean",
    }
    rows = [
        [_centre(images.read_rgb8((part / name).with_suffix(".png"))) for part in columns.values()]
        for name in HELD_OUT
    ]
    images.write(folder / "comparison.png", side_by_side(rows, list(columns)))


def _centre(image: np.ndarray) -> np.ndarray:
    top, left = ((size - _CROP) // 2 for size in image.shape[:2])
    return image[top : top + _CROP, left : left + _CROP]
