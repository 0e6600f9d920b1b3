"""What selections hold, as one store: images decoded into the cache, and crops as they are."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from noiseda.data.crops import Crop, is_prepared, open_prepared
from noiseda.data.folders import Selection, select
from noiseda.data.store import Store, open_store
from noiseda.errors import DataError


class JoinedStore(Store):
    """Several stores one after another."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = list(stores)
        self.shapes = [shape for store in stores for shape in store.shapes]
        self._ends = list(accumulate(len(store) for store in stores))

    def __getitem__(self, index: int) -> np.ndarray:
        """Image `index`, H×W×3 uint8, read-only, not yet in memory."""
        number = bisect.bisect_right(self._ends, index)
        return self.stores[number][index - (self._ends[number] - len(self.stores[number]))]

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__


@dataclass(frozen=True)
class Chosen:
    """What selections hold.

    Attributes:
        paths: image files, to be decoded.
        crops: selections of prepared folders.
    """

    paths: list[Path]
    crops: list[Selection]


def choose(selections: Sequence[Selection]) -> Chosen:
    """Which images and crops are selected.

    Raises:
        DataError: see `select`.
    """
    crops = [selection for selection in selections if is_prepared(selection.folder)]
    # what is not finished or has no such images is known before anything is decoded
    select(crops)
    plain = [selection for selection in selections if not is_prepared(selection.folder)]
    return Chosen([path for _, path in select(plain)], crops)


def open_chosen(
    chosen: Chosen,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Store:
    """One store: the images first, then the crops.

    Args:
        chosen: at least one image.
        cache, progress: of `open_store`.

    Raises:
        DataError: see `open_store`.
    """
    stores: list[Store] = []
    if chosen.paths:
        stores.append(open_store(chosen.paths, cache, progress))
    for selection in chosen.crops:
        names = {name for name, _ in select([selection])}
        stores.append(open_prepared(selection.folder).store(names))
    return stores[0] if len(stores) == 1 else JoinedStore(stores)


def truth_of(photos: Selection, folder: Path) -> Selection:
    """The ground truth of prepared crops: those of the same names at the same places.

    Raises:
        DataError: `folder` holds no prepared crops, or others.
    """
    if not is_prepared(folder):
        raise DataError(f"{folder}: no prepared crops, but the photos in {photos.folder} are")
    truth = photos.model_copy(update={"folder": folder})
    ours, theirs = (_shown(selection) for selection in (photos, truth))
    if ours != theirs:
        raise DataError(
            f"{folder}: not the crops of {photos.folder}; prepare both sides by one "
            "`noiseda data prepare`"
        )
    return truth


def _shown(selection: Selection) -> list[tuple[str, Crop]]:
    """What each selected crop shows, in order."""
    chosen = {name for name, _ in select([selection])}
    return [named for named in open_prepared(selection.folder).names if named[0] in chosen]
