"""A folder of noisy photos and a tiny model to start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from noiseda import images, networks
from noiseda.checkpoint import save
from tests.conftest import photo
from tests.end_to_end import conftest as end_to_end

command, refused = end_to_end.command, end_to_end.refused

# the shortest adaptation there is: a few steps, whatever the time
SHORT = ("--minutes", "0.1")


def noisy(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A photo with noise that is alike in neighbouring pixels, H×W×3 uint8."""
    random = np.random.default_rng(seed)
    white = random.normal(0, 12, (height + 1, width + 1, 3))
    noise = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 2
    return (photo(height, width, seed) + noise).round().clip(0, 255).astype(np.uint8)


def write(folder: Path, *names: str, size: tuple[int, int] = (80, 96)) -> Path:
    """Photos of different scenes."""
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(path, noisy(*size, seed=seed))
    return folder


def network(seed: int = 0) -> networks.RestorationNetwork:
    torch.manual_seed(seed)
    return networks.build("unet", width=4, depth=2, upsampling="half-pixel")


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A model that was trained on other noise, as its file says."""
    path = tmp_path / "start.safetensors"
    recipe = {"degradation": {"name": "gaussian", "sigma": [0, 50]}}
    save(path, network(), recipe=recipe)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six photos."""
    return write(tmp_path / "photos", *(f"{number}.png" for number in range(6)))
