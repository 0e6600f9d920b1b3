"""What the tests of image files share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from noiseda import images
from noiseda.errors import ImageError


def noise(height: int, width: int, dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    random = np.random.default_rng(height * 1000 + width)
    return random.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def refused(path: Path, *words: str) -> str:
    """The message of reading `path`: one line with the file's name and these words."""
    with pytest.raises(ImageError) as caught:
        images.read(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in (path.name, *words):
        assert word in message
    return message
