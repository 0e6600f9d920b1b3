"""What libvips does with pixels that are in no file: JPEG's loss, and words as pixels."""

from __future__ import annotations

import numpy as np

from noiseda.images.library import use_thread_pool, vips


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """What is left of an image after saving as 8-bit JPEG and reading back.

    Args:
        pixels: H×W×3 uint8, RGB.
        quality: 1 to 100; below 90 colour is stored at half resolution (libvips' rule).

    Returns:
        H×W×3 uint8.

    Raises:
        ImageError: see `library.use_thread_pool`.
    """
    use_thread_pool("a JPEG in memory")
    height, width, bands = pixels.shape
    image = vips().Image.new_from_memory(
        np.ascontiguousarray(pixels).data, width, height, bands, "uchar"
    )
    file = image.copy(interpretation="srgb").jpegsave_buffer(Q=quality)
    return vips().Image.jpegload_buffer(file).numpy()


def text(words: str, points: int = 14) -> np.ndarray:
    """One line of words as the ink's coverage, H×W uint8, 0 for none to 255.

    The blank above the letters is part of it, so that texts put at the same height stand on one
    line, whether they have tall letters or not.

    Args:
        words: what to write; not blank.
        points: size of the letters, in pixels.

    Raises:
        ImageError: see `library.use_thread_pool`.
    """
    use_thread_pool(f"the text {words!r}")
    # markup characters stand for themselves
    escaped = words.replace("&", "&amp;").replace("<", "&lt;")
    ink = vips().Image.text(escaped, font=f"sans {points}", dpi=72)
    return np.pad(ink.numpy(), ((max(ink.yoffset, 0), 0), (0, 0)))
