"""What the tests of degradations share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from noiseda import images

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("NOISEDA_DATA", ROOT.parent / "shared" / "data")) / "bsds500"
SILENT: dict[str, Any] = {"shot": (0, 0), "read": (0, 0)}
seeds = st.integers(0, 2**40)
examples = settings(max_examples=25)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=seeded(seed))


def gray(value: float, size: int = 128) -> Tensor:
    return torch.full((3, size, size), value)


def neighbour_correlation(residual: Tensor) -> float:
    residual = residual - residual.mean((-2, -1), keepdim=True)
    return float((residual[..., 1:] * residual[..., :-1]).mean() / residual.square().mean())


def psnr(image: Tensor, clean: Tensor) -> float:
    return float(-10 * (image - clean).square().mean().log10())


@pytest.fixture(scope="session")
def photos() -> list[Tensor]:
    """Crops of ten real photos, 3×160×160 in [0, 1]."""
    if not PHOTOS.is_dir():
        pytest.skip(f"needs real photos in {PHOTOS}")
    files = sorted((PHOTOS / "val").glob("*.jpg"))[:10]
    return [images.to_tensor(images.read_rgb8(file)[80:240, 80:240])[0] for file in files]
