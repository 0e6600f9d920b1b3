"""Whether two images show the same, judged by their pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from noiseda.data.checking.features import halved

# longer side of the part that both show, when it is compared
_SIDE = 96
# by which the placement may be wrong, in pixels of that size
_REACH = 2


def likeness(
    ours: np.ndarray, theirs: np.ndarray, scale: float, left: float, top: float
) -> tuple[float, float, float, float]:
    """Compare what both images show, one being placed in the other.

    Args:
        ours, theirs: H×W gray values.
        scale, left, top: a pixel at x, y of ours is at scale·x + left, scale·y + top of theirs.

    Returns:
        Correlation of the gray values and of their details (−1 to 1), and which parts of our and
        of their area both show (0 to 1). All 0 if both share less than a few pixels.
    """
    x0, x1 = max(0.0, -left / scale), min(ours.shape[1], (theirs.shape[1] - left) / scale)
    y0, y1 = max(0.0, -top / scale), min(ours.shape[0], (theirs.shape[0] - top) / scale)
    if min(x1 - x0, y1 - y0) * min(scale, 1) < 16:
        return 0.0, 0.0, 0.0, 0.0
    # never finer than either image
    size = min(_SIDE, max(x1 - x0, y1 - y0) * min(scale, 1.0))
    step = max(x1 - x0, y1 - y0) / size
    height, width = max(int((y1 - y0) / step), 8), max(int((x1 - x0) / step), 8)
    mine = _part(ours, x0, y0, x1, y1, height, width)
    other = _part(
        theirs,
        *(scale * x0 + left, scale * y0 + top, scale * x1 + left, scale * y1 + top),
        *(height, width),
    )
    inner = (slice(_REACH, height - _REACH), slice(_REACH, width - _REACH))
    best = (0.0, -1.0)
    details = [image - ndimage.gaussian_filter(image, 4.0) for image in (mine, other)]
    for dy in range(-_REACH, _REACH + 1):
        for dx in range(-_REACH, _REACH + 1):
            moved = (
                slice(_REACH + dy, height - _REACH + dy),
                slice(_REACH + dx, width - _REACH + dx),
            )
            detail = correlation(details[0][inner], details[1][moved])
            if detail > best[1]:
                best = correlation(mine[inner], other[moved]), detail
    area = (x1 - x0) * (y1 - y0)
    return *best, area / ours.size, area * scale**2 / theirs.size


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Normalised cross-correlation, 0 where either is constant."""
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm > 1e-6 else 0.0


def _part(
    gray: np.ndarray, x0: float, y0: float, x1: float, y1: float, height: int, width: int
) -> np.ndarray:
    """The rectangle at another size. Cut at whole pixels, then shifted by what is left."""
    top, left = max(int(y0), 0), max(int(x0), 0)
    bottom, right = min(int(np.ceil(y1)), gray.shape[0]), min(int(np.ceil(x1)), gray.shape[1])
    part = gray[top:bottom, left:right]
    x0, x1, y0, y1 = x0 - left, x1 - left, y0 - top, y1 - top
    while min((y1 - y0) / height, (x1 - x0) / width) >= 4:
        part = halved(part)
        # a pixel's corner at x is at x / 2 then
        x0, x1, y0, y1 = x0 / 2, x1 / 2, y0 / 2, y1 / 2
    factor = (y1 - y0) / height, (x1 - x0) / width
    blur = [max(0.0, 0.5 * (value - 1)) for value in factor]
    if max(blur) > 0:
        part = ndimage.gaussian_filter(part, blur, mode="nearest", truncate=3.0)
    rows = y0 + (np.arange(height) + 0.5) * factor[0] - 0.5
    columns = x0 + (np.arange(width) + 0.5) * factor[1] - 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    return ndimage.map_coordinates(part, grid, order=1, mode="nearest")
