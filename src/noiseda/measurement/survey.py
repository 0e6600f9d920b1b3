"""What is in a folder of photos, and what of it gets in the way of training."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from noiseda import images
from noiseda.errors import ImageError
from noiseda.measurement import look
from noiseda.measurement import photo as one_photo
from noiseda.measurement.noise import Noise, combine, large_enough
from noiseda.measurement.photo import PhotoNoise

SMALL = 64
"""Photos with a side below this count as small, in pixels."""

# photos looked at, evenly over the folder: decoding takes the time
_MOST_PIXELS, _MOST_PHOTOS = 1_500_000_000, 2000
_MOST_MEASURED = 64
# bounds of `look`'s numbers
_ALIKE, _SOFT, _BLOCKED = 0.95, 0.33, 1.3

_Thing = TypeVar("_Thing")


@dataclass(frozen=True)
class Survey:
    """A folder of photos; names are relative to it.

    Attributes:
        folder: the folder.
        names: of the image files in it and its sub-folders.
        unreadable: (name, reason) of those that cannot be read.
        looked: names of the photos whose pixels were read; fewer than there are in a large folder,
            where the other files are judged by their headers.
        megapixels: smallest, median and largest photo.
        small: photos with a side below 64 pixels.
        identical: groups of files with the same content.
        similar: groups of photos that show the same, such as copies in other sizes, qualities or
            exposures.
        soft: photos without any sharp edge: blurred, or enlarged.
        blocked: photos with the 8×8 blocks of JPEG compression.
        noise: their common noise; None if none could be measured.
    """

    folder: str
    names: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    looked: tuple[str, ...]
    megapixels: tuple[float, float, float]
    small: tuple[str, ...]
    identical: tuple[tuple[str, ...], ...]
    similar: tuple[tuple[str, ...], ...]
    soft: tuple[str, ...]
    blocked: tuple[str, ...]
    noise: Noise | None

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self.names)

    @property
    def looked_at(self) -> int:
        """How many were looked at."""
        return len(self.looked)

    @property
    def usable(self) -> int:
        """Readable files, identical ones counted once."""
        copies = sum(len(group) - 1 for group in self.identical)
        return self.files - len(self.unreadable) - copies

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        noise = self.noise.as_dict() if self.noise else None
        counts = {"files": self.files, "looked_at": self.looked_at, "usable": self.usable}
        return {**dataclasses.asdict(self), **counts, "noise": noise}


@dataclass(frozen=True, eq=False)
class _Look:
    composition: np.ndarray
    sharpness: float
    blockiness: float
    noise: PhotoNoise | None


def survey(
    folder: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
) -> Survey:
    """Look at a folder: the headers of all images, the pixels of up to 2000 of them and 1500
    megapixels, the noise of up to 64.

    Args:
        folder: of image files, at any depth.
        progress: called with (photos looked at, photos to look at).

    Raises:
        DataError: no such folder, or no image in it.
    """
    root = Path(folder)
    paths = {path.relative_to(root).as_posix(): path for path in images.list_images(root)}
    unreadable: dict[str, str] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for name, path in paths.items():
        try:
            sizes[name] = images.size(path)
        except ImageError as error:
            unreadable[name] = str(error)
    identical = _identical({name: paths[name] for name in sizes})
    copies = {name for group in identical for name in group[1:]}
    distinct = [name for name in sizes if name not in copies]
    area = sum(sizes[name][0] * sizes[name][1] for name in distinct)
    chosen = evenly(distinct, min(len(distinct) * _MOST_PIXELS // max(area, 1), _MOST_PHOTOS))
    measured = set(evenly(chosen, _MOST_MEASURED))

    def glance(name: str) -> _Look | str:
        try:
            pixels = images.read_rgb8(paths[name])
        except ImageError as error:
            return str(error)
        wanted = name in measured and large_enough(pixels)
        return _Look(
            look.composition(pixels),
            look.sharpness(pixels),
            look.blockiness(pixels),
            one_photo.measure(pixels) if wanted else None,
        )

    looks: dict[str, _Look] = {}
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        # in order, whichever is done first: the result does not depend on the machine
        for done, (name, seen) in enumerate(zip(chosen, pool.map(glance, chosen), strict=True), 1):
            if isinstance(seen, str):
                unreadable[name] = seen
                del sizes[name]
            else:
                looks[name] = seen
            if progress is not None:
                progress(done, len(chosen))
    noises = [seen.noise for seen in looks.values() if seen.noise is not None]
    areas = [height * width / 1e6 for height, width in sizes.values()] or [0.0]
    return Survey(
        folder=str(root),
        names=tuple(paths),
        unreadable=tuple(sorted(unreadable.items())),
        looked=tuple(looks),
        megapixels=(float(min(areas)), float(np.median(areas)), float(max(areas))),
        small=tuple(name for name, size in sizes.items() if min(size) < SMALL),
        identical=identical,
        similar=_similar(looks),
        soft=tuple(name for name, seen in looks.items() if seen.sharpness < _SOFT),
        blocked=tuple(name for name, seen in looks.items() if seen.blockiness > _BLOCKED),
        noise=combine(noises) if noises else None,
    )


def evenly(things: Sequence[_Thing], most: int) -> list[_Thing]:
    """At most `most` of them, at least one, evenly spaced."""
    count = min(max(most, 1), len(things))
    return [things[index * len(things) // count] for index in range(count)]


def _identical(paths: dict[str, Path]) -> tuple[tuple[str, ...], ...]:
    """Groups of files with the same bytes."""
    by_size = _groups((path.stat().st_size, name) for name, path in paths.items())
    # only files of one size need to be read
    digests = (
        (hashlib.blake2b(paths[name].read_bytes()).digest(), name)
        for group in by_size
        for name in group
    )
    return tuple(_groups(digests))


def _similar(looks: dict[str, _Look]) -> tuple[tuple[str, ...], ...]:
    """Groups of photos linked by a likeness above the bound."""
    names = list(looks)
    if not names:
        return ()
    vectors = np.stack([looks[name].composition for name in names])
    group = np.arange(len(names))
    for alike in vectors @ vectors.T > _ALIKE:
        linked = group[alike]
        if len(linked) > 1:
            group[np.isin(group, linked)] = linked.min()
    return tuple(_groups(zip(group.tolist(), names, strict=True)))


def _groups(labelled: Iterable[tuple[Any, str]]) -> list[tuple[str, ...]]:
    """Names with one label, where there are two or more."""
    found: defaultdict[Any, list[str]] = defaultdict(list)
    for label, name in labelled:
        found[label].append(name)
    return [tuple(names) for names in found.values() if len(names) > 1]
