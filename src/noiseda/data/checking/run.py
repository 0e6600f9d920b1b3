"""Check folders of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from noiseda import images
from noiseda.data.checking.features import Fingerprint, fingerprint, luma
from noiseda.data.checking.findings import KINDS, Finding, Report
from noiseda.data.checking.matching import (
    AGREE,
    FLIPS,
    UNFLIPPED,
    Flip,
    alike_as_a_whole,
    placement,
    sharing_points,
)
from noiseda.data.checking.pixels import likeness
from noiseda.data.parallel import each
from noiseda.errors import ImageError

# Least correlation of details and of gray values for "the same". Of crops of other photos, of
# 96 pixels or more, saved as JPEG or scaled by 0.5 to 1.3, the true ones had 0.8 or more (0.5
# with strong noise); of different photos with matching points none had 0.45.
_SAME = (0.5, 0.7)
# and for "twice in one set", where bursts and neighbouring frames are legitimate
_TWICE = (0.9, 0.95)
# what a leak is called whose image was flipped
_FLIPPED = {f"the same, flipped {way}": flip for way, flip in FLIPS.items()}
# images of the test whose points are matched at a time, to bound the memory
_TOGETHER = 64

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


@dataclass(frozen=True, eq=False)
class _Described:
    path: Path
    print: Fingerprint


def check(
    folders: Sequence[Path],
    clean: Path | None = None,
    test: Sequence[Path] = (),
    smallest: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Everything that is wrong with a training set, and what it has in common with a test set.

    Args:
        folders: the training images; with `clean`, the degraded ones.
        clean: their counterparts, paired by relative path, suffixes aside.
        test: folders of images that no training may see. The same image counts also if it was
            encoded again, scaled or flipped as a whole, or is a crop of the other.
        smallest: least height and width, in pixels.
        workers: processes that decode; None for one a core.
        progress: told how far it is.

    Raises:
        DataError: a folder is missing or has no image.
    """
    tell = progress or (lambda *_: None)
    parts = [*folders, *([] if clean is None else [clean]), *test]
    listed = {folder: images.list_images(folder) for folder in parts}
    # a folder may be named twice, or lie in another: each file counts once in each part
    paths = list(dict.fromkeys(path for found in listed.values() for path in found))
    local = bool(test)
    described: dict[Path, Fingerprint] = {}
    findings: list[Finding] = []
    jobs = [(path, local) for path in paths]
    for done, (path, result) in enumerate(
        zip(paths, each(_describe, jobs, workers), strict=True), start=1
    ):
        if isinstance(result, str):
            findings.append(Finding("unreadable", path, detail=result))
        else:
            described[path] = result
        tell("decoding", done, len(paths))
    findings += _small(described, smallest)
    if clean is not None:
        for folder in folders:
            # of several, each has its own part of the clean folder
            findings += _pairs(folder, clean, listed, described, alone=len(folders) == 1)
    groups = [_of(folders, listed, described)]
    if clean is not None:
        groups.append(_of([clean], listed, described))
    for group in groups:
        findings += _duplicates(group, tell)
    if test:
        training = _of([*folders, *([] if clean is None else [clean])], listed, described)
        findings += _leaks(training, _of(test, listed, described), tell)
    order = list(KINDS)
    findings.sort(key=lambda f: (order.index(f.kind), str(f.image), str(f.other)))
    return Report(list(folders), clean, list(test), len(paths), findings)


def _of(
    folders: Sequence[Path], listed: dict[Path, list[Path]], described: dict[Path, Fingerprint]
) -> list[_Described]:
    """The readable images of these folders, each file once."""
    files = {path.resolve(): path for folder in folders for path in listed[folder]}
    return [_Described(path, described[path]) for path in files.values() if path in described]


def _describe(job: tuple[Path, bool]) -> Fingerprint | str:
    path, local = job
    try:
        return fingerprint(images.read_rgb8(path), local)
    except ImageError as error:
        return str(error).removeprefix(f"{path}: ")


def _small(described: dict[Path, Fingerprint], smallest: int) -> list[Finding]:
    return [
        Finding("size", path, detail=f"{print_.width}×{print_.height}, less than {smallest}")
        for path, print_ in described.items()
        if min(print_.height, print_.width) < smallest
    ]


def _pairs(
    degraded: Path,
    clean: Path,
    listed: dict[Path, list[Path]],
    described: dict[Path, Fingerprint],
    alone: bool,
) -> list[Finding]:
    """What does not pair, or pairs with an image of another size."""
    sides: list[dict[str, list[Path]]] = []
    for folder in (degraded, clean):
        stems: dict[str, list[Path]] = {}
        for path in listed[folder]:
            stem = path.relative_to(folder).with_suffix("").as_posix()
            stems.setdefault(stem, []).append(path)
        sides.append(stems)
    ours, theirs = sides
    found = []
    for stem in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(stem, []), theirs.get(stem, [])
        if not other:
            found += [Finding("unpaired", path, detail=f"not in {clean}") for path in mine]
        elif not mine:
            if alone:
                found += [Finding("unpaired", path, detail=f"not in {degraded}") for path in other]
        elif len(mine) > 1 or len(other) > 1:
            several = mine if len(mine) > 1 else other
            found.append(
                Finding("unpaired", several[0], several[1], "only the suffix differs; which pairs?")
            )
        elif mine[0] in described and other[0] in described:
            a, b = described[mine[0]], described[other[0]]
            if (a.height, a.width) != (b.height, b.width):
                text = f"{a.width}×{a.height} but {b.width}×{b.height}"
                found.append(Finding("size", mine[0], other[0], text))
    return found


def _duplicates(group: list[_Described], tell: Progress) -> list[Finding]:
    """The same whole image twice."""
    prints = [image.print for image in group]
    pairs = [(a, b) for a, b in alike_as_a_whole(prints, prints) if a < b]
    gray = _reader()
    found = []
    for done, (a, b) in enumerate(pairs, start=1):
        value = _whole(group[a], group[b], gray, _TWICE)
        if value is not None:
            found.append(Finding("duplicate", group[a].path, group[b].path, "the same", value))
        tell("comparing with each other", done, len(pairs))
    return found


def _leaks(training: list[_Described], test: list[_Described], tell: Progress) -> list[Finding]:
    """Images of the test that are, whole or in part, in the training."""
    ours = [image.print for image in training]
    gray = _reader()
    found = []
    for start in range(0, len(test), _TOGETHER):
        part = test[start : start + _TOGETHER]
        theirs = [image.print for image in part]
        seen = set()
        # unflipped first: a symmetrical image is the same, not a flipped one
        for detail, flip in {"the same": UNFLIPPED, **_FLIPPED}.items():
            for a, b in alike_as_a_whole(ours, theirs, flip):
                if (a, b) in seen:
                    continue
                value = _whole(training[a], part[b], gray, _SAME, flip)
                if value is not None:
                    seen.add((a, b))
                    found.append(Finding("leak", training[a].path, part[b].path, detail, value))
        for (a, b), places in sharing_points(ours, theirs).items():
            if (a, b) in seen:
                continue
            *where, agreeing = placement(places)
            if agreeing < AGREE:
                continue
            plain, detail, mine, other = likeness(
                gray(training[a].path), gray(part[b].path), *where
            )
            if detail >= _SAME[0] and plain >= _SAME[1]:
                text = f"{mine:.0%} of the first is {other:.0%} of the second"
                found.append(
                    Finding("leak", training[a].path, part[b].path, text, round(detail, 3))
                )
        tell("comparing with the test", min(start + _TOGETHER, len(test)), len(test))
    return found


def _whole(
    first: _Described,
    second: _Described,
    gray: Callable[[Path], np.ndarray],
    least: tuple[float, float],
    flip: Flip = UNFLIPPED,
) -> float | None:
    """How alike two whole images are, the first flipped; None if not enough."""
    a, b = first.print, second.print
    scale = (b.height * b.width / (a.height * a.width)) ** 0.5
    if not 0.95 < (b.height / a.height) / (b.width / a.width) < 1.05:
        return None
    ours, theirs = gray(first.path)[flip], gray(second.path)
    if np.array_equal(ours, theirs):
        # also if it is flat, and has nothing to correlate
        return 1.0
    plain, detail, _, _ = likeness(ours, theirs, scale, 0.0, 0.0)
    return round(detail, 3) if detail >= least[0] and plain >= least[1] else None


def _reader() -> Callable[[Path], np.ndarray]:
    """Gray values by path, those used last kept."""
    return lru_cache(maxsize=16)(lambda path: luma(images.read_rgb8(path)))
