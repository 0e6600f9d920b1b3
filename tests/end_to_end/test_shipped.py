"""The models that ship with the package: small, described, and used without being named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from noiseda import degradations, images
from noiseda.checkpoint import TASKS, open_model, shipped_model
from noiseda.evaluation import protocol
from noiseda.random import generator
from tests.end_to_end.conftest import Command

DEGRADATIONS = {
    "denoise": {"name": "gaussian", "sigma": (25, 25)},
    "derain": {"name": "rain", "density": (0.05, 0.05), "intensity": (0.5, 0.5)},
    "deblur": {"name": "motion-blur", "length": (9, 9)},
}


def scene(height: int, width: int) -> np.ndarray:
    """Discs of many sizes, one over the other, as in the dead leaves model; H×W×3 uint8."""
    random = np.random.default_rng(0)
    picture = np.zeros((height, width, 3))
    rows, columns = np.mgrid[:height, :width]
    for radius in sorted(random.uniform(2, 30, 400), reverse=True):
        row, column = random.uniform(0, height), random.uniform(0, width)
        inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        picture[inside] = random.uniform(20, 235) + random.uniform(-30, 30, 3)
    return picture.clip(0, 255).astype(np.uint8)


def test_all_tasks_within_ten_megabytes() -> None:
    files = [shipped_model(task) for task in TASKS]
    assert sum(path.stat().st_size for path in files) < 10e6
    for task, path in zip(TASKS, files, strict=True):
        _, info = open_model(path, task)
        assert (info.recipe or {})["task"] == task
        assert path.name in path.with_suffix(".md").read_text()


@pytest.mark.parametrize("task", TASKS)
def test_used_without_being_named(task: str, tmp_path: Path, command: Command) -> None:
    """And what it is for, it does."""
    clean = images.to_tensor(scene(96, 120))
    options = dict(DEGRADATIONS[task])
    degrade = degradations.build(str(options.pop("name")), **options)
    images.write(tmp_path / "photo.png", images.to_pixels(degrade(clean, generator(0))))
    given = () if task == "denoise" else ("--task", task)
    code, _, err = command("restore", "photo.png", "-o", "out.png", *given)
    assert code == 0, err
    scores = [
        float(protocol("rgb").score(images.to_tensor(images.read_rgb8(path)), clean)["psnr"][0])
        for path in (tmp_path / "photo.png", tmp_path / "out.png")
    ]
    assert scores[1] > scores[0] + 1, scores
