"""What the tests of scores share: images, and scikit-image's scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage import io
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def reference(restored: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of two H×W×3 uint8 images by scikit-image."""
    structure: Any = structural_similarity(
        clean,
        restored,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1,
        data_range=255,
    )
    return float(peak_signal_noise_ratio(clean, restored, data_range=255)), float(structure)


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + draws, 0, 255).round().astype(np.uint8)


def tensor(*images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(folder: Path, **named: np.ndarray) -> Path:
    """Write images under `folder`; `a__b_png` becomes a/b.png."""
    for key, image in named.items():
        stem, suffix = key.replace("__", "/").rsplit("_", 1)
        path = folder / f"{stem}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        io.imsave(path, image, check_contrast=False)
    return folder


SMALL = random_image(12, 14)
