"""The picture of a comparison: held-out images, as each method of the first seed restores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from noiseda import images
from noiseda.comparison.scoring import HeldOut, Restore
from noiseda.evaluation.picture import side_by_side

_ROWS = 4
_CROP = 160


def picture(
    results: dict[str, Any], held_out: HeldOut, opened: Callable[[dict[str, Any]], Restore]
) -> np.ndarray:
    """A row an image, a column a method, in the order of the table, and the clean image.

    Args:
        results: with its `summary`.
        held_out: where images come from; some of the target, spread over all, are shown by the
            middle of each.
        opened: the method of a cell of `results`.

    Returns:
        H×W×3 uint8.
    """
    target = held_out.target
    count = min(_ROWS, len(target))
    shown = [target[number * len(target) // count] for number in range(count)]
    degraded = [images.read(path).pixels for _, path, _ in shown]
    size = min(_CROP, *(min(image.shape[:2]) for image in degraded))
    view = list(results["views"])[-1]
    names = [row["method"] for row in results["summary"] if row["view"] == view]
    columns = []
    for name in ["input", *(name for name in names if name != "input")]:
        if name == "input":
            restored = degraded
        else:
            restore = opened(_cell(results, name, view))
            restored = [restore(image) for image in degraded]
        columns.append([_middle(_rgb8(image), size) for image in restored])
    columns.append([_middle(images.read_rgb8(clean), size) for _, _, clean in shown])
    captions = ["input", *(name for name in names if name != "input"), "clean"]
    return side_by_side(list(zip(*columns, strict=True)), captions)


def _cell(results: dict[str, Any], method: str, view: str) -> dict[str, Any]:
    seed = results["seeds"][0]
    return next(
        cell
        for cell in results["cells"]
        if cell["method"] == method and cell["seed"] in (seed, None) and view in cell["views"]
    )


def _rgb8(image: Any) -> np.ndarray:
    """What a method gave, as 8-bit pixels."""
    return images.to_8bit(image) if isinstance(image, np.ndarray) else images.to_pixels(image)


def _middle(image: np.ndarray, size: int) -> np.ndarray:
    top, left = ((length - size) // 2 for length in image.shape[:2])
    return image[top : top + size, left : left + size]
