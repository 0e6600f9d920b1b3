"""A piece of each photo, for what needs no more of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from noiseda import images
from noiseda.data import cut


def pieces(photos: Iterable[np.ndarray], size: int, device: torch.device) -> Iterator[Tensor]:
    """A window of each photo, at a place that depends on its number.

    Args:
        photos: H×W×3 uint8; of those below two pixels there is none.
        size: height and width, even; less of smaller photos.
        device: where the windows go.

    Yields:
        1×3×h×w in [0, 1].
    """
    for number, photo in enumerate(photos):
        for window in cut([photo.shape[:2]], 1, size, number):
            rows = slice(window.top, window.top + window.height)
            part = np.ascontiguousarray(photo[rows, window.left : window.left + window.width])
            yield images.to_tensor(part).to(device, memory_format=torch.channels_last)
