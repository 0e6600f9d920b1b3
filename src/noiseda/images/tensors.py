"""Between integer pixels and the image tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from noiseda.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor


def to_tensor(pixels: np.ndarray) -> Tensor:
    """H×W×3 uint8 or uint16 to 1×3×H×W float32 in [0, 1], the value divided by 255 or 65535.

    Raises:
        ValueError: another shape or type.
    """
    import torch

    check(pixels)
    values = np.empty((1, 3, *pixels.shape[:2]), dtype=np.float32)
    peak = np.float32(np.iinfo(pixels.dtype).max)
    np.divide(pixels.transpose(2, 0, 1), peak, out=values[0], dtype=np.float32)
    return torch.from_numpy(values)


def to_pixels(tensor: Tensor, dtype: Any = np.uint8) -> np.ndarray:
    """1×3×H×W or 3×H×W float in [0, 1] to H×W×3 of `dtype`, uint8 or uint16.

    Values are clamped, then rounded to the nearest integer, never truncated. Exact inverse of
    `to_tensor`.

    Raises:
        ImageError: a value is NaN.
        ValueError: another shape or type.
    """
    import torch

    image = tensor.detach()
    if image.ndim == 4 and image.shape[0] == 1:
        image = image[0]
    if image.ndim != 3 or image.shape[0] != 3 or np.dtype(dtype) not in (np.uint8, np.uint16):
        raise ValueError(f"cannot make {np.dtype(dtype)} pixels of shape {tuple(tensor.shape)}")
    lost = int(torch.isnan(image).sum())
    if lost:
        raise ImageError(
            f"image has {lost} NaN values of {image.numel()}; the model's weights are broken or"
            " its precision overflowed: try float32 or another model"
        )
    values = image.float().clamp(0, 1).mul_(float(np.iinfo(dtype).max)).round_().cpu().numpy()
    return values.transpose(1, 2, 0).astype(dtype, order="C")


def to_8bit(pixels: np.ndarray) -> np.ndarray:
    """uint16 of any shape to the nearest of 256 levels (v · 255/65535, rounded); uint8 as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    # round(v / 257) = (v + 128 - ((v + 128) >> 8)) >> 8, arranged so that no step leaves 16 bits:
    # wider integers would multiply the memory of a large photo
    values = pixels - (pixels >> 8)
    values -= (pixels >> 7) & 1
    values += 128
    values >>= 8
    return values.astype(np.uint8)


def to_16bit(pixels: np.ndarray) -> np.ndarray:
    """uint8 of any shape to 16 bits (v · 257); uint16 as it is."""
    if pixels.dtype == np.uint16:
        return pixels
    return pixels.astype(np.uint16) * np.uint16(257)


def check(pixels: np.ndarray) -> None:
    """Refuse what is not H×W×3 uint8 or uint16 with at least one pixel.

    Raises:
        ValueError: another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be H×W×3, not of shape {pixels.shape}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be uint8 or uint16, not {pixels.dtype}")
