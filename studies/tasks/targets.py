"""The tasks of the study: images to adapt to, their ground truth, and held-out scenes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("NOISEDA_DATA", HERE.parents[2] / "shared" / "data"))
BSDS = DATA / "bsds500"
# of Rain100L: the same photo as another one, under other rain
_REPEATED = {4, 14, 25, 36, 47, 58, 69, 80, 91}
_HELD_OUT_VIDEOS = {"GOPR0384", "GOPR0410"}
_SHIPPED = HERE.parents[1] / "src" / "noiseda" / "models"


@dataclass(frozen=True)
class Target:
    """What a task's network is adapted to.

    Attributes:
        folder: below the data.
        degraded, clean: folders in it.
        held_out: whether an image, by its name, is scored; scenes never are on both sides.
        left_out: whether it takes no part.
        ours: the best objective of our own that the task has.
        options: keys of the recipe that differ from other tasks'.
    """

    folder: str
    degraded: str
    clean: str
    held_out: Callable[[str], bool]
    left_out: Callable[[str], bool] = lambda name: False
    ours: str = "self-taught"
    options: dict[str, Any] = field(default_factory=dict)


TARGETS = {
    "denoise": Target(
        "renoir", "noisy", "clean", lambda name: int(name[:2]) >= 17, ours="two-scale"
    ),
    "derain": Target(
        "rain100l",
        "rainy",
        "clean",
        lambda name: _number(name) <= 40,
        left_out=lambda name: _number(name) in _REPEATED,
        options={"training.start": str(_SHIPPED / "derain.safetensors")},
    ),
    "deblur": Target(
        "gopro",
        "blurry",
        "sharp",
        lambda name: name.split("_")[0] in _HELD_OUT_VIDEOS,
        options={"training.start": str(_SHIPPED / "deblur.safetensors")},
    ),
}


def keys(task: str, most: int | None = None) -> dict[str, Any]:
    """What a task adds to the recipe.

    Args:
        task: of `TARGETS`.
        most: how many images there are at most to adapt to, and to score on.
    """
    target = TARGETS[task]
    degraded, clean = (DATA / target.folder / kind for kind in (target.degraded, target.clean))
    training, held_out = (names[:most] for names in split(task))
    return {
        "name": task,
        "data.clean": [_bsds("train", without=task == "derain"), _bsds("test")],
        "data.real": [{"folder": str(degraded), "include": training}],
        "data.truth": [str(clean)],
        "data.validation": {
            "degraded": {"folder": str(degraded), "include": held_out},
            "clean": str(clean),
        },
        "compare.source": [_bsds("val", without=True)],
        **target.options,
    }


def split(task: str) -> tuple[list[str], list[str]]:
    """File names to adapt to and to score on, different scenes."""
    target = TARGETS[task]
    found = (DATA / target.folder / target.degraded).iterdir()
    names = sorted(path.name for path in found if not target.left_out(path.name))
    held_out = [name for name in names if target.held_out(name)]
    return [name for name in names if name not in held_out], held_out


def _bsds(part: str, without: bool = False) -> dict[str, Any]:
    """A part of BSDS500; `without` the images that Rain100L was made of."""
    listed = (DATA / "rain100l" / "bsds500_overlap.txt").read_text().split() if without else []
    overlap = [name.split("/")[1] for name in listed if name.startswith(f"{part}/")]
    return {"folder": str(BSDS / part), "exclude": overlap}


def _number(name: str) -> int:
    return int(Path(name).stem)


if __name__ == "__main__":
    for task in TARGETS:
        print(task, *map(len, split(task)))
