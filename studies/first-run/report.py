"""README and picture of the first run, from results.json and the run folders."""

from __future__ import annotations

import json

import numpy as np
from run import DATA, HERE, RESULTS, RUNS
from summary import readme

from noiseda.evaluation.picture import side_by_side
from noiseda.images import read_rgb8, write
from noiseda.restoration import load

EXAMPLES = {"polyu": ("Canon5D2_5_160_6400_bicycle_10.jpg",), "renoir": ("18.png", "22.png")}
CROP = 256


def report() -> None:
    (HERE / "README.md").write_text(readme(json.loads(RESULTS.read_text())))
    write(HERE / "picture.png", picture())


def picture() -> np.ndarray:
    """Crops of held-out photos: input, vanilla continued, noise-space, truth (seed 0)."""
    rows = []
    for target, names in EXAMPLES.items():
        models = [load(RUNS / "vanilla-continued-0"), load(RUNS / f"noise-space-{target}-0")]
        for name in names:
            noisy, clean = (read_rgb8(DATA / target / part / name) for part in ("noisy", "clean"))
            images = [noisy, *(model.pixels(noisy) for model in models), clean]
            top, left = ((size - CROP) // 2 for size in noisy.shape[:2])
            rows.append([image[top : top + CROP, left : left + CROP] for image in images])
    return side_by_side(rows, ["input", "vanilla continued", "noise-space", "ground truth"])
