"""JPEG compression in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def compress(image: Tensor, quality: int) -> Tensor:
    """What is left of an image after saving as 8-bit JPEG and reading back.

    Args:
        image: 3×H×W float32 in [0, 1].
        quality: 1 to 100; below 90 colour is stored at half resolution (libvips' rule).

    Returns:
        3×H×W float32 in [0, 1].
    """
    import pyvips  # only this option needs it

    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu()
    height, width, _ = pixels.shape
    source = pyvips.Image.new_from_memory(pixels.numpy().data, width, height, 3, "uchar")
    source = source.copy(interpretation="srgb")
    file = source.jpegsave_buffer(Q=quality)
    decoded = torch.from_numpy(pyvips.Image.new_from_buffer(file, "").numpy())
    return decoded.permute(2, 0, 1).to(image.device, torch.float32).contiguous() / 255
