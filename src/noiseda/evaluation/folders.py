"""Score a folder of restored images against a folder of clean ones, or images in memory."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noiseda import images
from noiseda.errors import DataError
from noiseda.evaluation.protocols import Metric, protocol, size
from noiseda.images.library import shown

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Progress = Callable[[int, int | None], None]
"""Called after each image with the number done and the number of all, None if not known."""

_SHOWN = 5


@dataclass(frozen=True)
class Scores:
    """What an evaluation found.

    Args:
        protocol: name of the protocol.
        images: for each image its `name` and one value for each metric, `psnr` and `ssim`.
        extra: metrics beside those of the protocol, by name.
    """

    protocol: str
    images: list[dict[str, Any]] = field(default_factory=list)
    extra: Mapping[str, Metric] = field(default_factory=dict, repr=False)

    @property
    def metrics(self) -> dict[str, Metric]:
        """All metrics by name, the protocol's first."""
        return {**protocol(self.protocol).metrics, **self.extra}

    @property
    def mean(self) -> dict[str, float]:
        """Each metric's mean over the images, PSNR in dB included.

        No image is left out: one identical pair makes the mean PSNR infinite, one image too small
        for SSIM makes the mean SSIM NaN.
        """
        return {
            name: math.fsum(image[name] for image in self.images) / max(len(self.images), 1)
            for name in self.metrics
        }


def pair(
    restored: Path, clean: Path, only: Collection[str] | None = None
) -> list[tuple[str, Path, Path]]:
    """Pair the images of two folders by relative path.

    A file of exactly the same relative path comes first; else the suffix may differ, so that
    `a/1.jpg` pairs with `a/1.png`. Never by position and never by the bare file name.

    Args:
        restored, clean: the folders.
        only: relative paths in `restored` that take part; what is clean of the others may be
            there or not.

    Returns:
        (name, restored file, clean file) sorted by name. The name is the clean file's relative
        path with forward slashes: it is unique, and the same for every method compared.

    Raises:
        DataError: a folder is missing or empty, an image lacks its counterpart or has two; one
            message lists all of it.
    """
    ours, theirs = _by_relative_path(restored), _by_relative_path(clean)
    if only is not None:
        ours = {name: path for name, path in ours.items() if name in only}
    pairs = [(name, ours[name], theirs[name]) for name in ours.keys() & theirs.keys()]
    paired = {name for name, _, _ in pairs}
    left, right = _by_stem(ours.keys() - paired), _by_stem(theirs.keys() - paired)
    shared = left.keys() & right.keys()
    ambiguous = []
    for stem in shared:
        if len(left[stem]) == len(right[stem]) == 1:
            name = right[stem][0]
            pairs.append((name, ours[left[stem][0]], theirs[name]))
        else:
            ambiguous += [
                " and ".join(names) + f" in {shown(folder)}"
                for names, folder in ((left[stem], restored), (right[stem], clean))
                if len(names) > 1
            ]
    problems = _listed(ambiguous, "ambiguous, as only the suffix differs")
    sides = [(left, clean), (right, restored)]
    for groups, other in sides if only is None else sides[:1]:
        lonely = [name for stem in groups.keys() - shared for name in groups[stem]]
        here = restored if groups is left else clean
        problems += _listed(lonely, f"of {shown(here)} not in {shown(other)}")
    if problems:
        raise DataError(
            f"cannot pair the images: {'; '.join(problems)}; "
            "give both folders the same relative paths, suffixes aside"
        )
    return sorted(pairs)


def check_sizes(pairs: Sequence[tuple[str, Path, Path]]) -> None:
    """Refuse pairs whose files differ in size, by their headers: a wrong folder is known before
    minutes of restoring and scoring.

    Args:
        pairs: from `pair`.

    Raises:
        DataError: images of another size than their counterpart; one message lists them.
        ImageError: a file that is no readable image, as far as its header shows it.
    """
    sizes = ((name, images.size(ours), images.size(theirs)) for name, ours, theirs in pairs)
    _refuse([f"{name} {a[1]}×{a[0]} but clean {b[1]}×{b[0]}" for name, a, b in sizes if a != b])


def evaluate_folders(
    restored: Path,
    clean: Path,
    protocol_name: str = "rgb",
    progress: Progress | None = None,
    extra: Mapping[str, Metric] | None = None,
) -> Scores:
    """Score all images of `restored` against their counterparts in `clean`, see `pair`; the other
    arguments are those of `evaluate`.

    Raises:
        OptionError: unknown protocol.
        DataError: images that cannot be paired, or that differ in size from their counterpart.
        ImageError: a file that cannot be read.
    """
    protocol(protocol_name)
    pairs = pair(Path(restored), Path(clean))
    check_sizes(pairs)

    def read() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        for name, ours, theirs in pairs:
            yield name, images.read_rgb8(ours), images.read_rgb8(theirs)

    return evaluate(read(), protocol_name, progress, len(pairs), extra)


def evaluate(
    pairs: Iterable[tuple[str, Tensor | np.ndarray, Tensor | np.ndarray]],
    protocol_name: str = "rgb",
    progress: Progress | None = None,
    total: int | None = None,
    extra: Mapping[str, Metric] | None = None,
) -> Scores:
    """Score images one after the other, as an iterator yields them.

    Args:
        pairs: (name, restored, clean); an image is H×W×3 uint8 or uint16 (numpy), or 3×H×W or
            1×3×H×W floating point in [0, 1] (torch).
        protocol_name: a key of `PROTOCOLS`.
        progress: called after each image.
        total: the number of pairs, handed on to `progress`.
        extra: metrics beside those of the protocol, by name; called with the images as they are
            given, RGB, before the protocol prepares them.

    Raises:
        OptionError: unknown protocol.
        DataError: no pairs, or images that differ in size; found over all pairs, reported at once.
        ValueError: an image of another shape or type.
    """
    import torch

    chosen = protocol(protocol_name)
    scores = Scores(chosen.name, extra=extra or {})
    different: list[str] = []
    done = 0
    for done, (name, restored, clean) in enumerate(pairs, start=1):
        ours, theirs = _tensor(restored, name), _tensor(clean, name)
        if ours.shape != theirs.shape:
            different.append(f"{name} {size(ours)} but clean {size(theirs)}")
        # after the first mismatch there will be no scores, only the rest of the list
        elif not different:
            # not around the loop: it would leak into the iterator, which may run a network
            with torch.inference_mode():
                theirs = theirs.to(ours.device)
                values = chosen.score(ours, theirs)
                values |= {key: metric(ours, theirs) for key, metric in scores.extra.items()}
            found = {key: value.item() for key, value in values.items()}
            scores.images.append({"name": name, **found})
        if progress is not None:
            progress(done, total)
    _refuse(different)
    if not done:
        raise DataError("no images to score: give at least one restored image and its clean one")
    return scores


def _refuse(different: Sequence[str]) -> None:
    if different:
        listed = _listed(different, "of another size than the clean counterpart")
        raise DataError(f"{'; '.join(listed)}; restore at the original size, without cropping")


def _by_relative_path(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in images.list_images(folder)}


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    """Relative paths grouped by what is left without the suffix."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups[Path(name).with_suffix("").as_posix()].append(name)
    return groups


def _listed(names: Sequence[str], what: str) -> list[str]:
    """`["7 images WHAT (a, b, c, d, e, …)"]`, or nothing if there are no names."""
    if not names:
        return []
    some = [shown(name) for name in sorted(names)[:_SHOWN]] + ["…"] * (len(names) > _SHOWN)
    return [f"{len(names)} image{'s' * (len(names) > 1)} {what} ({', '.join(some)})"]


def _tensor(image: Tensor | np.ndarray, name: str) -> Tensor:
    """One image as 1×3×H×W floating point."""
    import numpy as np

    if isinstance(image, np.ndarray):
        try:
            return images.to_tensor(image)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    tensor = image[None] if image.ndim == 3 else image
    if tensor.ndim != 4 or tensor.shape[:2] != (1, 3) or not tensor.is_floating_point():
        got = f"{tuple(image.shape)} {image.dtype}"
        raise ValueError(f"{name}: expected a floating-point 3×H×W or 1×3×H×W tensor, got {got}")
    return tensor
