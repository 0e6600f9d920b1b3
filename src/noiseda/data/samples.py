"""Training samples: random crops of the source, its degraded twin, and of the real photos.

Sample `number` of a run is a function of the run's seed and that number alone.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from multiprocessing import forkserver
from typing import TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from noiseda.data.store import Store
from noiseda.degradations import Degradation
from noiseda.degradations.base import log_uniform
from noiseda.errors import DataError
from noiseda.random import generator

# whose crops are those of another role
_STREAMS = {"truth": "real", "taught": "real", "synthetic": "clean"}
# pixels to each side that bicubic interpolation looks at, of the smaller of its two images
_EDGE = 2


class Sample(TypedDict, total=False):
    """One sample, or a batch with B in front: images 3×p×p float32 in [0, 1].

    `clean` and `synthetic` show the same content, and so do `real`, `truth` and `taught`; `real`
    to `taught` are there if the run has such images; `number` is the running number.
    """

    clean: Tensor
    synthetic: Tensor
    real: Tensor
    unpaired: Tensor
    truth: Tensor
    taught: Tensor
    number: int


def random_crop(store: Store, patch: int, source: torch.Generator, margin: int = 0) -> np.ndarray:
    """A patch×patch×3 uint8 crop: image and position uniform, last row and column included, then
    one of the eight flips and rotations. An image smaller than the patch is extended by
    reflection, never stretched. With a margin the same crop has that many pixels more on each
    side; beyond the image they are its reflection."""
    image = store[_draw(len(store), source)]
    places = [_draw(max(size - patch, 0) + 1, source) for size in image.shape[:2]]
    spans = [(place - margin, place + patch + margin) for place in places]
    inside = [
        (max(first, 0), min(end, size))
        for (first, end), size in zip(spans, image.shape[:2], strict=True)
    ]
    crop = image[tuple(slice(first, end) for first, end in inside)]
    missing = [
        (known[0] - wanted[0], wanted[1] - known[1])
        for known, wanted in zip(inside, spans, strict=True)
    ]
    if any(before or after for before, after in missing):
        crop = np.pad(crop, [*missing, (0, 0)], mode="reflect")
    turn = _draw(8, source)
    if turn >= 4:
        crop = crop[:, ::-1]
    # a copy even of a whole image, which is part of a read-only file
    return np.rot90(crop, turn % 4).copy()


def _draw(below: int, source: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=source))


def to_image(crop: np.ndarray) -> Tensor:
    """H×W×3 uint8 to 3×H×W float32 in [0, 1]."""
    return torch.from_numpy(crop).permute(2, 0, 1).contiguous().float().div_(255)


def resized(image: Tensor, factor: float, size: int) -> Tensor:
    """The middle of an image, enlarged or shrunk by bicubic interpolation: 3×H×W to 3×size×size, in
    [0, 1]. H and W times the factor must be at least `size`."""
    # where an image grows, antialiasing changes nothing but the kernel, to Keys' (1981), which
    # keeps what is linear
    scaled = F.interpolate(image[None], scale_factor=factor, mode="bicubic", antialias=True)
    top, left = ((length - size) // 2 for length in scaled.shape[-2:])
    # bicubic interpolation overshoots at edges
    return scaled[0, :, top : top + size, left : left + size].clamp(0, 1)


class TrainingSamples(Dataset[Sample]):
    """All samples of a run, by running number.

    Args:
        clean: clean source images; None if others take their place before the first sample.
        real: unlabeled real photos, or None.
        unpaired: clean images without a counterpart, or None.
        degradation: makes the synthetic image from the clean one; None if `synthetic` has them.
        patch: height and width of crops, in pixels.
        seed: of the run.
        truth: ground truth of `real`, image by image, or None; its crops are those of `real`.
        synthetic: degraded counterparts of `clean`, image by image, or None; the crops are those
            of `clean`.
        resize: range of the factor by which clean crops are enlarged, or below 1 shrunk, before
            they are degraded, drawn log-uniformly for each sample; not with `synthetic`.

    Raises:
        DataError: `truth` and `real`, or `synthetic` and `clean`, are not images of the same sizes.
    """

    def __init__(
        self,
        clean: Store | None,
        real: Store | None,
        unpaired: Store | None,
        degradation: Degradation | None,
        patch: int,
        seed: int,
        truth: Store | None = None,
        synthetic: Store | None = None,
        resize: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        if truth is not None and (real is None or real.shapes != truth.shapes):
            raise DataError("ground truth: not of the same sizes, image by image, as the photos")
        if synthetic is not None and (clean is None or clean.shapes != synthetic.shapes):
            raise DataError("pairs: degraded images not of the same sizes as the clean ones")
        self.stores: dict[str, Store | None] = {
            "clean": clean,
            "synthetic": synthetic,
            "real": real,
            "unpaired": unpaired,
            "truth": truth,
        }
        self.degradation = degradation
        self.patch = patch
        self.seed = seed
        self.resize = resize

    def __getitem__(self, number: int) -> Sample:
        sample: Sample = {"number": number}
        for role, store in self.stores.items():
            if store is not None:
                # a stream each: having real photos or not must not change the synthetic pairs
                stream = _STREAMS.get(role, role)
                source = generator(self.seed, number, stream)
                if role == "clean":
                    sample[role] = self._clean(store, number, source)
                else:
                    sample[role] = to_image(random_crop(store, self.patch, source))
        if "clean" in sample and "synthetic" not in sample and self.degradation is not None:
            source = generator(self.seed, number, "degradation")
            wide = sample["clean"]
            sample["synthetic"] = self._middle(self.degradation(wide, source))
            sample["clean"] = self._middle(wide)
        return sample

    def _clean(self, store: Store, number: int, source: torch.Generator) -> Tensor:
        """With the margin that its degradation needs."""
        if self.resize == (1, 1):
            return to_image(random_crop(store, self.patch, source, self.margin))
        draw = torch.rand((), generator=generator(self.seed, number, "enlarge"))
        factor = float(log_uniform(draw, self.resize))
        size = self.patch + 2 * self.margin
        edge = math.ceil(_EDGE / min(factor, 1))
        crop = random_crop(store, math.ceil(size / factor), source, edge)
        return resized(to_image(crop), factor, size)

    @property
    def margin(self) -> int:
        """What is cut off around a clean crop after it was degraded, in pixels."""
        if self.degradation is None or self.stores["synthetic"] is not None:
            return 0
        return self.degradation.margin

    def _middle(self, image: Tensor) -> Tensor:
        if not self.margin:
            return image
        middle = slice(self.margin, self.margin + self.patch)
        return image[:, middle, middle].contiguous()


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
