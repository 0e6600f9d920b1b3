"""How public sets lie on a disk: which files are a pair, and what each is called.

A reader turns a set as it was unpacked into entries with names that are unique and stay the same;
`noiseda data prepare` makes plain folders or crops of them. Everything else in this package then
sees folders alone: the layouts are known here and nowhere else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from noiseda import images
from noiseda.data.lists import pair_lists, read_pairs
from noiseda.errors import DataError, OptionError, did_you_mean


@dataclass(frozen=True)
class Entry:
    """An image or a pair of a set.

    Attributes:
        name: relative path without suffix, unique in the set.
        degraded: the degraded image; None if the set has none.
        clean: the clean image; of a set without pairs, its image, whatever it shows.
    """

    name: str
    degraded: Path | None
    clean: Path | None

    def files(self, sides: Sequence[str] = ("degraded", "clean")) -> list[Path]:
        """Those that there are of these sides."""
        found = {"degraded": self.degraded, "clean": self.clean}
        return [path for side in sides if (path := found[side]) is not None]


Reader = Callable[[Path, str, Path | None], list[Entry]]
"""From a folder (or list), the split and, if it lies elsewhere, the clean side: the entries."""

SPLITS = ("train", "test")
# what the two sides of pairs are called in published sets, the degraded one first
_SIDES = [("degraded", "clean"), ("input", "target"), ("noisy", "clean"), ("rainy", "clean")]
_SIDES += [("rain", "norain"), ("blurry", "sharp"), ("blur", "sharp"), ("input", "gt")]
_SIDES += [("input_crops", "target_crops")]


def plain(folder: Path, split: str, clean: Path | None) -> list[Entry]:
    """A folder of images; with `clean`, pairs by relative path, suffixes aside."""
    ours = _by_stem(folder)
    if clean is None:
        return [Entry(name, None, path) for name, path in ours.items()]
    theirs = _by_stem(clean)
    lonely = [f"{name} only in {folder}" for name in ours.keys() - theirs.keys()]
    lonely += [f"{name} only in {clean}" for name in theirs.keys() - ours.keys()]
    if lonely:
        some = ", ".join(sorted(lonely)[:5])
        raise DataError(
            f"{folder}: {len(lonely)} images have no counterpart ({some}); see `noiseda data check`"
        )
    return [Entry(name, path, theirs[name]) for name, path in ours.items()]


def sided(folder: Path, split: str, clean: Path | None) -> list[Entry]:
    """Two sub-folders of the same names (`input` and `target`, `noisy` and `clean`, …), in the
    folder or in each of several below it."""
    found: list[Entry] = []
    for parent, folders, _ in os.walk(folder, followlinks=True):
        folders.sort()
        sides = next((pair for pair in _SIDES if set(pair) <= set(folders)), None)
        if sides is None:
            continue
        where = Path(parent).relative_to(folder).as_posix()
        prefix = "" if where == "." else f"{where}/"
        pairs = plain(Path(parent, sides[0]), split, Path(parent, sides[1]))
        found += [Entry(prefix + pair.name, pair.degraded, pair.clean) for pair in pairs]
        folders[:] = [name for name in folders if name not in sides]
    if not found:
        names = ", ".join(f"{a}/ and {b}/" for a, b in _SIDES[:4])
        raise DataError(f"{folder}: no two sub-folders of a pair in it ({names}, …)")
    return found


def split_sided(folder: Path, split: str, clean: Path | None) -> list[Entry]:
    """`sided` in the folder `train` or `test`, wherever it lies. GoPro (GOPRO_Large):
    `train/GOPR0372_07_00/{blur,sharp}/000047.png`; the gamma-corrected `blur_gamma` is left out.
    Rain13K: `train/Rain13K/{input,target}/1.jpg`, and each of its tests."""
    roots = [Path(parent, split) for parent, folders, _ in os.walk(folder) if split in folders]
    if len(roots) != 1:
        where = f"{len(roots)} folders" if roots else "no folder"
        raise DataError(f"{folder}: {where} {split!r} in it; give the folder as it was unpacked")
    return sided(roots[0], split, clean)


def sidd_medium(folder: Path, split: str, clean: Path | None) -> list[Entry]:
    """SIDD-Medium: a folder for each scene instance, `0001_001_S6_00100_00060_3200_L`, in it
    `0001_NOISY_SRGB_010.PNG` with `0001_GT_SRGB_010.PNG`, and the same with 011."""
    found, lonely = [], []
    noisy = [path for path in images.list_images(folder) if "_NOISY_SRGB_" in path.name.upper()]
    for path in noisy:
        truth = path.with_name(re.sub("NOISY", "GT", path.name, flags=re.IGNORECASE))
        if truth.is_file():
            number = path.stem.rpartition("_")[2]
            found.append(Entry(f"{path.parent.name}/{number}", path, truth))
        else:
            lonely.append(path)
    if lonely or not found:
        what = f"{len(lonely)} without ground truth, as {lonely[0]}" if lonely else "none"
        raise DataError(
            f"{folder}: of its files named NNNN_NOISY_SRGB_NNN.PNG {what}; give the folder that "
            "holds SIDD-Medium's scene instances, its `Data`"
        )
    return found


def spa(folder: Path, split: str, clean: Path | None) -> list[Entry]:
    """SPA-Data: `real_world.txt` (train) and `real_test_1000.txt` (test) list a rainy and a clean
    image a line; many rainy ones share one clean image. Without the list, `split_sided`."""
    name = {"train": "real_world.txt", "test": "real_test_1000.txt"}[split]
    lists = sorted(folder.rglob(name))
    if not lists:
        try:
            return split_sided(folder, split, clean)
        except DataError:
            raise DataError(
                f"{folder}: neither {name}, which lists the set's {split} pairs, nor a folder "
                f"{split!r} of them in it"
            ) from None
    return [Entry(stem, first, second) for stem, first, second in read_pairs(lists[0], 0, folder)]


def realblur_j(folder: Path, split: str, clean: Path | None) -> list[Entry]:
    """RealBlur-J: `RealBlur_J_train_list.txt` and `RealBlur_J_test_list.txt` list a sharp and a
    blurry image a line. The name is the blurry one's whole path: file names repeat in each of
    the scenes."""
    lists = sorted(folder.rglob(f"RealBlur_J_{split}_list.txt"))
    if not lists:
        raise DataError(
            f"{folder}: no RealBlur_J_{split}_list.txt in it; the set is split by this list, which "
            "comes with its archive"
        )
    return [Entry(stem, first, second) for stem, first, second in read_pairs(lists[0], 1, folder)]


def flist(file: Path, split: str, clean: Path | None) -> list[Entry]:
    """The published code's text lists: a path a line; with `clean`, a second list."""
    return [Entry(*entry) for entry in pair_lists(file, clean)]


LAYOUTS: dict[str, Reader] = {
    "folder": plain,
    "pairs": sided,
    "sidd-medium": sidd_medium,
    "spa": spa,
    "realblur-j": realblur_j,
    "gopro": split_sided,
    "rain13k": split_sided,
    "flist": flist,
}


def read_layout(
    name: str, source: Path, split: str = "train", clean: Path | None = None
) -> list[Entry]:
    """The entries of a set as it lies on the disk, sorted by name.

    Args:
        name: a key of `LAYOUTS`.
        source: its folder, or a list.
        split: "train" or "test", where a set has both.
        clean: the clean side, if it lies elsewhere (layouts "folder" and "flist").

    Raises:
        OptionError: no such layout or split, or `clean` given where it has no meaning.
        DataError: the set is not there, not complete, or does not pair.
    """
    if name not in LAYOUTS:
        raise OptionError(f"no layout {name!r}{did_you_mean(name, LAYOUTS)}")
    if split not in SPLITS:
        raise OptionError(f"no split {split!r}; known: {', '.join(SPLITS)}")
    if clean is not None and name not in ("folder", "flist"):
        raise OptionError(f"layout {name!r} knows its clean images; give no other folder for them")
    if not source.exists():
        raise DataError(f"{source}: no such folder or file; check the path")
    entries = sorted(LAYOUTS[name](source, split, clean), key=lambda entry: entry.name)
    twice = [a.name for a, b in pairwise(entries) if a.name == b.name]
    if twice:
        raise DataError(f"{source}: {len(twice)} names are there twice, as {twice[0]}")
    return entries


def _by_stem(folder: Path) -> dict[str, Path]:
    """Images by relative path without suffix.

    Raises:
        DataError: two differ in nothing but the suffix, or there is none.
    """
    found: dict[str, Path] = {}
    for path in images.list_images(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise DataError(f"{folder}: {found[stem].name} and {path.name} differ in suffix alone")
        found[stem] = path
    return found
