"""The targets of the study: photos to adapt to, their ground truth, and held-out scenes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from noiseda import degradations, images
from noiseda.random import generator

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("NOISEDA_DATA", HERE.parents[2] / "shared" / "data"))
RUNS = (HERE.parents[1] / "runs" / "adaptation").resolve()
# strong noise of a camera at high sensitivity
CAMERA = {"name": "camera", "shot": (0.006, 0.02), "read": (0.02, 0.04)}
# of the photos of BSDS500 val, in the order of their names
_CAMERA_TRAINING, _CAMERA_HELD_OUT = slice(0, 60), slice(60, 84)
_SOURCE = slice(84, 100)

TARGETS = ("renoir", "polyu", "camera")


def keys(target: str) -> dict[str, Any]:
    """What a target adds to the recipe."""
    if target == "camera":
        _make_camera()
    folder = RUNS / "camera-photos" if target == "camera" else DATA / target
    training, held_out = split(target)
    return {
        "name": target,
        "data.clean": [str(DATA / "bsds500" / part) for part in ("train", "test")],
        "data.real": [{"folder": str(folder / "noisy"), "include": training}],
        "data.truth": [str(folder / "clean")],
        "data.validation": {
            "degraded": {"folder": str(folder / "noisy"), "include": held_out},
            "clean": str(folder / "clean"),
        },
        "compare.source": [
            {
                "folder": str(DATA / "bsds500" / "val"),
                "include": [path.name for path in _val()[_SOURCE]],
            }
        ],
    }


def split(target: str) -> tuple[list[str], list[str]]:
    """File names to train on and to score on, different scenes."""
    if target == "camera":
        names = [f"{path.stem}.png" for path in _val()]
        return names[_CAMERA_TRAINING], names[_CAMERA_HELD_OUT]
    names = sorted(path.name for path in (DATA / target / "noisy").iterdir())
    if target == "renoir":
        held_out = {name for name in names if int(name[:2]) >= 17}
    else:
        scene = {name: re.sub(r"_\d+\.\w+$", "", name) for name in names}
        chosen = set(sorted(set(scene.values()))[::4])
        held_out = {name for name in names if scene[name] in chosen}
    return [name for name in names if name not in held_out], sorted(held_out)


def _val() -> list[Path]:
    return sorted((DATA / "bsds500" / "val").glob("*.jpg"))


def _make_camera() -> None:
    options = dict(CAMERA)
    camera = degradations.build(str(options.pop("name")), **options)
    for number, path in enumerate(_val()):
        name = f"{path.stem}.png"
        noisy, clean = (RUNS / "camera-photos" / kind / name for kind in ("noisy", "clean"))
        if noisy.is_file() and clean.is_file():
            continue
        noisy.parent.mkdir(parents=True, exist_ok=True)
        clean.parent.mkdir(parents=True, exist_ok=True)
        pixels = images.read_rgb8(path)
        degraded = camera(images.to_tensor(pixels), generator(0, number, "camera"))
        images.write(clean, pixels)
        images.write(noisy, images.to_pixels(degraded.clamp(0, 1)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for target in TARGETS:
        print(target, *map(len, split(target)))
