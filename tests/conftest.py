"""What several test files need: small photos, a tiny recipe, the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import settings

from noiseda import images

# the same examples in every run; `pytest --hypothesis-profile=default` looks for new ones
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# one thread each: tests run side by side, and tiny networks gain nothing from more
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth colour picture with an edge, H×W×3 uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [
        128
        + 90 * np.sin(random.uniform(2, 9) * x + random.uniform(2, 9) * y + random.uniform(0, 6))
        for _ in range(3)
    ]
    picture = np.stack(waves, axis=-1)
    picture[y > x] *= 0.7
    return picture.clip(0, 255).astype(np.uint8)


def write_photos(folder: Path, names: Sequence[str], size: tuple[int, int] = (48, 56)) -> Path:
    """PNG files with different content."""
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(path, photo(*size, seed=seed))
    return folder


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    """A recipe that trains a tiny network in seconds: 24 steps of 2 samples, noise-space."""
    write_photos(tmp_path / "clean", ["a.png", "b.png", "sub/c.png"])
    write_photos(tmp_path / "real", ["x.png", "y.png"])
    content = {
        "name": "tiny",
        "data": {
            "clean": str(tmp_path / "clean"),
            "real": str(tmp_path / "real"),
            "patch": 16,
            "batch": 2,
            "cache": str(tmp_path / "cache"),
        },
        "degradation": {"name": "gaussian", "sigma": [0, 50]},
        "network": {"name": "unet", "width": 4, "depth": 2, "upsampling": "half-pixel"},
        "objective": {
            "name": "noise-space",
            "predictor": {
                "name": "guided",
                "base": 4,
                "multipliers": [1, 2],
                "blocks": 1,
                "head_channels": 4,
                # dropout draws from torch's global state, which a resumed run must repeat
                "dropout": 0.2,
            },
        },
        "training": {"images": 48, "ema_halflife": 20, "checkpoint_every": 8, "log_every": 2},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def noiseda() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in a process of its own: `noiseda("restore", …)`."""

    def run(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "noiseda", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            **{"env": ENVIRONMENT, **options},
        )

    return run
