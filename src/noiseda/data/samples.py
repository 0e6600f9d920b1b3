"""Training samples: random crops of the source, its degraded twin, and of the real photos.

Sample `number` of a run is a function of the run's seed and that number alone.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from multiprocessing import forkserver
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from noiseda.data.store import Store
from noiseda.degradations import Degradation
from noiseda.errors import DataError
from noiseda.random import generator


class Sample(TypedDict, total=False):
    """One sample, or a batch with B in front: images 3×p×p float32 in [0, 1].

    `clean` and `synthetic` show the same content, and so do `real` and `truth`; `real`, `truth`
    and `unpaired` are there if the run has such images; `number` is the running number.
    """

    clean: Tensor
    synthetic: Tensor
    real: Tensor
    unpaired: Tensor
    truth: Tensor
    number: int


def random_crop(store: Store, patch: int, source: torch.Generator) -> np.ndarray:
    """A patch×patch×3 uint8 crop: image and position uniform, last row and column included, then
    one of the eight flips and rotations. An image smaller than the patch is extended by
    reflection, never stretched."""
    image = store[_draw(len(store), source)]
    height, width = image.shape[:2]
    top = _draw(max(height - patch, 0) + 1, source)
    left = _draw(max(width - patch, 0) + 1, source)
    crop = image[top : top + patch, left : left + patch]
    missing = [(0, patch - size) for size in crop.shape[:2]]
    if any(after for _, after in missing):
        crop = np.pad(crop, [*missing, (0, 0)], mode="reflect")
    turn = _draw(8, source)
    if turn >= 4:
        crop = crop[:, ::-1]
    return np.ascontiguousarray(np.rot90(crop, turn % 4))


def _draw(below: int, source: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=source))


def to_image(crop: np.ndarray) -> Tensor:
    """H×W×3 uint8 to 3×H×W float32 in [0, 1]."""
    return torch.from_numpy(crop).permute(2, 0, 1).contiguous().float().div_(255)


class TrainingSamples(Dataset[Sample]):
    """All samples of a run, by running number.

    Args:
        clean: clean source images.
        real: unlabeled real photos, or None.
        unpaired: clean images without a counterpart, or None.
        degradation: makes the synthetic image from the clean one.
        patch: height and width of crops, in pixels.
        seed: of the run.
        truth: ground truth of `real`, image by image, or None; its crops are those of `real`.

    Raises:
        DataError: `truth` and `real` are not images of the same sizes.
    """

    def __init__(
        self,
        clean: Store,
        real: Store | None,
        unpaired: Store | None,
        degradation: Degradation,
        patch: int,
        seed: int,
        truth: Store | None = None,
    ) -> None:
        if truth is not None and (real is None or real.shapes != truth.shapes):
            raise DataError("ground truth: not of the same sizes, image by image, as the photos")
        self.stores = {"clean": clean, "real": real, "unpaired": unpaired, "truth": truth}
        self.degradation = degradation
        self.patch = patch
        self.seed = seed

    def __getitem__(self, number: int) -> Sample:
        sample: Sample = {"number": number}
        for role, store in self.stores.items():
            if store is not None:
                # a stream each: having real photos or not must not change the synthetic pairs
                stream = "real" if role == "truth" else role
                crop = random_crop(store, self.patch, generator(self.seed, number, stream))
                sample[role] = to_image(crop)
        clean = sample["clean"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
        source = generator(self.seed, number, "degradation")
        sample["synthetic"] = self.degradation(clean, source)
        return sample


class BatchNumbers:
    """Batch sampler: the running numbers of the samples of each step of one rank.

    Its length is that of the whole run, also when it starts at a later step, because the position
    in a run is counted from its beginning.

    Args:
        steps: steps of the whole run.
        batch: samples of a step, over all ranks.
        start: steps that are done.
        rank, ranks: this process and how many there are; each takes an equal part of a batch.
    """

    def __init__(
        self, steps: int, batch: int, start: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        self.steps, self.batch, self.start = steps, batch, start
        self.share = batch // ranks
        self.offset = rank * self.share

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.steps):
            first = step * self.batch + self.offset
            yield list(range(first, first + self.share))

    def __len__(self) -> int:
        return self.steps


def loader(samples: TrainingSamples, numbers: BatchNumbers, workers: int = 0) -> DataLoader[Sample]:
    """Batches of samples, made by `workers` processes (0: by this one).

    Ctrl-C and job managers signal every process of a run. The workers leave it to this process to
    end the run, which may need a batch more until it can stop.
    """
    if workers:
        _start_forkserver()
    return DataLoader(
        samples,
        batch_sampler=numbers,
        num_workers=workers,
        worker_init_fn=_ignore_signals if workers else None,
        # a forked worker would inherit libvips without its threads, and wait for them for ever
        multiprocessing_context="forkserver" if workers else None,
        pin_memory=torch.accelerator.is_available(),
    )


_STOPPING = (signal.SIGINT, signal.SIGTERM)


def _start_forkserver() -> None:
    """Start the process that workers are forked from; it inherits what is ignored meanwhile, and
    so do the workers until `_ignore_signals` can run."""
    if threading.current_thread() is not threading.main_thread():
        # the only one that may set what signals do
        return
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in _STOPPING}
    try:
        forkserver.ensure_running()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ignore_signals(worker: int) -> None:
    # once more, as torch has given its workers a handler of its own
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
