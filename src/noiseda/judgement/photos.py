"""The risk of two networks on whole photos: where to look, and with which noise."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from noiseda import degradations, images, runtime
from noiseda.data import cut
from noiseda.judgement.offset import offset_at
from noiseda.judgement.risk import Restore, Risk, risk
from noiseda.measurement import matched_options, measure
from noiseda.networks import RestorationNetwork
from noiseda.random import generator

CELL = 64
# of a photo so much is looked at: windows, of so many pixels' height and width
_WINDOWS, _SIZE = 3, 512


class Judging:
    """Two networks, ready to be judged on photos.

    Args:
        start, adapted: the networks; copies are used.
        noise: of the collection that the photos are from, as options of the degradation "matched"
            (`measurement.matched_options`); None to measure it in each photo alone, which is less
            sure, as a photo may have little that is flat.
        device: where to compute; the accelerator if there is one.
        offset: mean of that noise by brightness, of `network_offset`; zero if None.
    """

    def __init__(
        self,
        start: RestorationNetwork,
        adapted: RestorationNetwork,
        noise: Mapping[str, Any] | None = None,
        device: str | torch.device | None = None,
        offset: np.ndarray | None = None,
    ) -> None:
        self.device = torch.device(device) if device is not None else runtime.best_device()
        self.noise = noise
        self.offset = offset
        self.start: Restore = self._ready(start)
        self.adapted: Restore = self._ready(adapted)

    def _ready(self, network: RestorationNetwork) -> RestorationNetwork:
        return runtime.fast_layout(copy.deepcopy(network).to(self.device)).eval()

    def risk(self, photo: np.ndarray, seed: int = 0) -> Risk | None:
        """Risk of both networks on windows of a photo.

        Args:
            photo: H×W×3 uint8.
            seed: of the windows and of the drawn noise.

        Returns:
            None if the photo is smaller than a cell of 64×64 pixels, or too dark or too bright
            everywhere to be judged.
        """
        if min(photo.shape[:2]) < CELL:
            return None
        # each window has a strength of its own, see `risk`
        options = {
            **(self.noise or matched_options(measure(photo))),
            "scale": (1.0, 1.0),
            "clamp": False,
        }
        noise = degradations.build("matched", **options)
        mean = None if self.offset is None else partial(offset_at, self.offset)
        found = []
        height, width = photo.shape[:2]
        for number, window in enumerate(cut([(height, width)], _WINDOWS, _SIZE, seed)):
            rows = slice(window.top, window.top + window.height)
            columns = slice(window.left, window.left + window.width)
            # a copy, as a view of the photo has negative or large strides
            pixels = np.ascontiguousarray(photo[rows, columns])
            image = images.to_tensor(pixels).to(self.device, memory_format=torch.channels_last)
            source = generator(seed, number, "judgement")
            found.append(risk(self.start, self.adapted, image, noise, source, mean=mean))
        parts = ("least", "start", "change")
        least, *rest = (np.concatenate([getattr(one, part) for one in found]) for part in parts)
        return Risk(least, *rest) if len(least) else None
