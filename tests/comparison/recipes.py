"""A comparison of tiny networks: photos of the target are dark, which the oracle soon learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from noiseda import images
from tests.conftest import photo, write_photos

PREDICTOR = {"base": 4, "multipliers": [1], "blocks": 1, "head_channels": 4, "dropout": 0.2}


def darken(folder: Path, target: Path) -> None:
    """The photos of `folder`, darker and noisy, under the same names."""
    for number, path in enumerate(images.list_images(folder)):
        noise = np.random.default_rng(number).normal(0, 6, (24, 26, 3))
        dark = 0.6 * images.read_rgb8(path) + noise
        written = target / path.relative_to(folder)
        written.parent.mkdir(parents=True, exist_ok=True)
        images.write(written, dark.clip(0, 255).astype(np.uint8))


def write_recipe(home: Path, **changes: Any) -> Path:
    """Photos and `compare.yaml` in `home`: 8 steps of pretraining, 5 of each continuation."""
    write_photos(home / "clean", ["a.png", "b.png"], (24, 26))
    write_photos(home / "truth", ["x.png", "in/y.png"], (24, 26))
    for seed, name in enumerate(["p.png", "q.png"], start=10):
        (home / "held-out" / "clean").mkdir(parents=True, exist_ok=True)
        images.write(home / "held-out" / "clean" / name, photo(24, 26, seed))
    write_photos(home / "source", ["s1.png", "s2.png", "s3.png"], (20, 22))
    darken(home / "truth", home / "real")
    darken(home / "held-out" / "clean", home / "held-out" / "noisy")
    content: dict[str, Any] = {
        "name": "tiny",
        "data": {
            "clean": str(home / "clean"),
            "real": str(home / "real"),
            "truth": str(home / "truth"),
            "validation": {
                "degraded": str(home / "held-out" / "noisy"),
                "clean": str(home / "held-out" / "clean"),
            },
            "patch": 16,
            "batch": 2,
            "workers": 0,
            "cache": str(home / "cache"),
        },
        "degradation": {"name": "gaussian", "sigma": [0, 50]},
        "network": {"name": "unet", "width": 2, "depth": 2, "upsampling": "half-pixel"},
        "objective": {"name": "noise-space", "predictor": PREDICTOR},
        "training": {
            "images": 16,
            "learning_rate": 0.01,
            "ema_halflife": 2,
            "checkpoint_every": 2,
            "log_every": 2,
        },
        "compare": {
            "images": 10,
            "source": str(home / "source"),
            "source_images": 2,
            "methods": {"gentle": {"name": "noise-space", "predictor": PREDICTOR, "weight": 0.01}},
        },
    }
    for key, value in changes.items():
        part = content
        *parents, last = key.split("__")
        for parent in parents:
            part = part[parent]
        part[last] = value
    path = home / "compare.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
