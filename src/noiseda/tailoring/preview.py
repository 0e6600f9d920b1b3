"""A picture, made anew every minute, of what adaptation does to some of the photos."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np

from noiseda import images
from noiseda.checkpoint import ModelInfo
from noiseda.errors import ImageError
from noiseda.evaluation.picture import side_by_side
from noiseda.networks import RestorationNetwork
from noiseda.restoration import Restorer

_EVERY = 60.0
SIZE = 256
_PHOTOS = 3


class Preview(lightning.Callback):
    """Shows the photo, the start model's restoration and the present one, side by side.

    Args:
        path: of the picture.
        pieces: of photos, of the same size, H×W×3 uint8.
        start: the model that adaptation starts from.
    """

    def __init__(self, path: Path, pieces: Sequence[np.ndarray], start: RestorationNetwork) -> None:
        self.path = path
        self.pieces = pieces
        self.before = [_restored(start, piece) for piece in pieces]
        self._last = -np.inf
        if not path.exists():
            # something to look at while the first targets are made
            self._draw(self.before)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero and time.monotonic() - self._last >= _EVERY:
            self.write(pl_module.averaged)
            self._last = time.monotonic()

    def write(self, network: RestorationNetwork) -> None:
        self._draw([_restored(network, piece) for piece in self.pieces])

    def _draw(self, now: Sequence[np.ndarray]) -> None:
        if not now:
            return
        rows = list(zip(self.pieces, self.before, now, strict=True))
        # only a preview: a full disk is the training's to report
        with contextlib.suppress(ImageError):
            images.write(self.path, side_by_side(rows, ["photo", "before", "adapted so far"]))


def _restored(network: RestorationNetwork, piece: np.ndarray) -> np.ndarray:
    info = ModelInfo(network=network.name, options=network.options)
    device = next(network.parameters()).device
    training = network.training
    try:
        return Restorer(network, info, device).pixels(piece)
    finally:
        network.train(training)


def pieces(folder: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The middles of the first photos that can be read, all of one size."""
    photos = []
    for name in names[:_PHOTOS]:
        with contextlib.suppress(ImageError):
            photos.append(images.read_rgb8(folder / name))
    height, width = (min([SIZE, *(photo.shape[axis] for photo in photos)]) for axis in (0, 1))
    found = []
    for photo in photos:
        top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
        found.append(np.ascontiguousarray(photo[top : top + height, left : left + width]))
    return found
