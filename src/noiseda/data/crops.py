"""Crops of images, cut once and stored together, from which training samples cost a copy.

A prepared folder holds `pixels.bin`, the crops one after another, each H×W×3 uint8, and
`crops.json`, which tells where each is and what it was cut from. It is used in a recipe like a
folder of images. While it is made there is `pixels.part` instead, at its final size, and
`unfinished.jsonl`: what will be cut, then a line for each image that is done, so that an
interrupted preparation goes on where it was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from noiseda.data.store import Store
from noiseda.errors import DataError, OptionError

INDEX, PIXELS = "crops.json", "pixels.bin"
PART, JOURNAL = "pixels.part", "unfinished.jsonl"
VERSION = 1


@dataclass(frozen=True)
class Crop:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Grid:
    """How images are cut.

    Attributes:
        size: height and width of a crop.
        overlap: of neighbouring crops; those at the last row and column overlap more.
        whole: images whose height or width is not above this are kept whole, as are those not
            above `size`. (The paper keeps images up to 800 whole for denoising.)

    Raises:
        OptionError: a size below 1, or an overlap that is negative or not below the size.
    """

    size: int = 512
    overlap: int = 96
    whole: int = 0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise OptionError(f"--size {self.size}: give at least 1")
        if not 0 <= self.overlap < self.size:
            raise OptionError(
                f"--overlap {self.overlap}: must be at least 0 and below the size {self.size}"
            )

    def cut(self, height: int, width: int) -> list[Crop]:
        """The crops of an image of this size, row by row; together they cover every pixel."""
        if min(height, width) <= self.whole or (height <= self.size and width <= self.size):
            return [Crop(0, 0, height, width)]
        return [
            Crop(top, left, min(self.size, height), min(self.size, width))
            for top in self._starts(height)
            for left in self._starts(width)
        ]

    def _starts(self, length: int) -> list[int]:
        last = max(length - self.size, 0)
        return [*range(0, last, self.size - self.overlap), last]


@dataclass(frozen=True)
class Prepared:
    """A prepared folder.

    Attributes:
        folder: where it is.
        images: (name, file) of what it was cut from.
        crops: index of the image, rectangle, and where the crop begins in `pixels.bin`, in bytes.
    """

    folder: Path
    images: list[tuple[str, Path]]
    crops: list[tuple[int, Crop, int]]

    def store(self, chosen: set[str] | None = None) -> Store:
        """Its crops; of the images of these names only, if given."""
        crops = [c for c in self.crops if chosen is None or self.images[c[0]][0] in chosen]
        shapes = [(crop.height, crop.width) for _, crop, _ in crops]
        return Store(self.folder / PIXELS, shapes, [offset for _, _, offset in crops])

    @property
    def names(self) -> list[tuple[str, Crop]]:
        """What each crop shows, in order."""
        return [(self.images[image][0], crop) for image, crop, _ in self.crops]


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds prepared crops, be they finished or not."""
    return any((folder / name).is_file() for name in (INDEX, JOURNAL))


def open_prepared(folder: Path) -> Prepared:
    """Open a prepared folder.

    Raises:
        DataError: it is not finished, damaged, or of another version.
    """
    if not (folder / INDEX).is_file():
        raise DataError(
            f"{folder}: its crops are not finished; run the same `noiseda data prepare` again"
        )
    try:
        content = json.loads((folder / INDEX).read_text())
        version = content["version"]
        images = [(name, Path(file)) for name, file in content["images"]]
        crops = [(image, Crop(*where), at) for image, *where, at in content["crops"]]
        whole = (folder / PIXELS).stat().st_size == content["bytes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder / INDEX}: damaged ({error}); prepare the crops again with --overwrite"
        ) from None
    if version != VERSION or not whole:
        what = "of another version" if version != VERSION else "its pixels.bin is not whole"
        raise DataError(f"{folder}: {what}; prepare the crops again with --overwrite")
    return Prepared(folder, images, crops)
