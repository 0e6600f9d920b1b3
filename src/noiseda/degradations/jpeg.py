"""JPEG compression of an image tensor."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from noiseda import images


def compress(image: Tensor, quality: int) -> Tensor:
    """What is left of an image after saving as 8-bit JPEG and reading back.

    Args:
        image: 3×H×W float32 in [0, 1].
        quality: 1 to 100, see `images.through_jpeg`.

    Returns:
        3×H×W float32 in [0, 1].
    """
    pixels = images.through_jpeg(images.to_pixels(image, np.uint8), quality)
    return images.to_tensor(pixels)[0].to(image.device)
