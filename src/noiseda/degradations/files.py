"""Degrade image files, and make pairs of consecutive frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from noiseda import images
from noiseda.degradations import curves
from noiseda.degradations.base import Degradation
from noiseda.errors import DataError, ImageError, OptionError, WriteError
from noiseda.images.library import shown
from noiseda.random import generator
from noiseda.registry import Registry

Started = Callable[[Path], None]


@dataclass(frozen=True)
class Work:
    """What is made of some files.

    Attributes:
        sources: the files: one image, or consecutive frames.
        targets: what is written: the degraded image, or the blurry and the sharp one.
        name: that the random draws depend on.
    """

    sources: tuple[Path, ...]
    targets: tuple[Path, ...]
    name: str = ""


@dataclass
class Degraded:
    """What became of the work.

    Attributes:
        done: written.
        kept: of which a target was there before; left alone.
        failed: what could not be done, each a line that says why.
        interrupted: True if the user stopped it; what is in `done` stays.
    """

    done: list[Work] = field(default_factory=list)
    kept: list[Work] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    interrupted: bool = False


class Frames:
    """How videos become pairs: B = sRGB(mean of the linear light of N consecutive frames), and the
    sharp counterpart is the middle frame.

    So the pairs of GoPro were made (Nah et al., CVPR 2017), but for the camera's curve, for which
    this takes sRGB's.

    Args:
        count: N, odd.
        step: frames from the beginning of one average to that of the next; None for N, so that no
            frame is used twice.

    Raises:
        OptionError: N is even.
    """

    def __init__(
        self,
        count: Annotated[int, Field(ge=3, le=999)] = 7,
        step: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        if count % 2 == 0:
            raise OptionError(f"frames: count {count} is even and has no middle frame; make it odd")
        self.count = count
        self.step = step or count


FRAMES: Registry[Frames] = Registry("kind")
FRAMES.register("frames")(Frames)


def plan_frames(folder: Path, output: Path, frames: Frames) -> list[Work]:
    """The averages of a folder of frames; each of its sub-folders is a video of its own.

    Frames follow each other as their names do, numbers in them by their value. The pair of a middle
    frame a/007.png is blurry/a/007.png and sharp/a/007.png in the output folder.

    Raises:
        DataError: a missing folder, no images, or no folder with enough frames; or two frames whose
            names differ in their suffix alone.
    """
    inside = output.resolve()
    videos: dict[Path, list[Path]] = {}
    for path in images.list_images(folder):
        # results of ours, if the output folder lies inside the input
        if inside not in path.resolve().parents or inside == folder.resolve():
            videos.setdefault(path.parent, []).append(path)
    work: dict[tuple[Path, ...], Work] = {}
    for video in videos.values():
        video.sort(key=lambda path: _natural(path.name))
        for first in range(0, len(video) - frames.count + 1, frames.step):
            window = tuple(video[first : first + frames.count])
            middle = window[frames.count // 2].relative_to(folder).with_suffix(".png")
            targets = (output / "blurry" / middle, output / "sharp" / middle)
            if targets in work:
                raise DataError(
                    f"{shown(window[frames.count // 2])}: another frame has this name but for its "
                    "suffix; rename one of them"
                )
            work[targets] = Work(window, targets)
    if not work:
        most = max(map(len, videos.values()), default=0)
        raise DataError(
            f"{shown(folder)}: no folder has the {frames.count} frames of an average (the longest "
            f"has {most}); give more frames or lower the count with --set count=3"
        )
    return list(work.values())


def average(frames: Iterable[np.ndarray]) -> np.ndarray:
    """The mean of the frames' linear light, as an image of their kind.

    Args:
        frames: at least one H×W×3 uint8 or uint16 in sRGB, all of one size and type; one is held
            at a time.

    Returns:
        H×W×3 of that type.
    """
    total, count, kind = torch.zeros(1), 0, np.dtype(np.uint8)
    for frame in frames:
        total = total + curves.srgb_to_linear(images.to_tensor(frame))
        count, kind = count + 1, frame.dtype
    return images.to_pixels(curves.linear_to_srgb((total / count).clamp_(0, 1)), kind)


def degrade_files(
    degradation: Degradation | Frames,
    work: Sequence[Work],
    seed: int,
    overwrite: bool = False,
    started: Started | None = None,
) -> Degraded:
    """Do the work; one bad file does not stop the rest, an interruption keeps what is done.

    Args:
        degradation: of images, or the averaging of frames.
        work: what to read and write.
        seed: of the draws, which depend on it and on the name of the work alone.
        overwrite: replace targets that exist; else they are kept.
        started: called with the first target before it is worked on.
    """
    outcome = Degraded()
    try:
        for one in work:
            missing = [target for target in one.targets if overwrite or not target.exists()]
            if not missing:
                outcome.kept.append(one)
                continue
            if started:
                started(one.targets[0])
            try:
                _refuse_unwritable(one.targets)
                if isinstance(degradation, Frames):
                    _average(one, missing)
                else:
                    _degrade(degradation, one, seed)
                outcome.done.append(one)
            except ImageError as error:
                outcome.failed.append(str(error))
    except KeyboardInterrupt:
        # wherever it comes, also between two images
        outcome.interrupted = True
    return outcome


def _degrade(degradation: Degradation, work: Work, seed: int) -> None:
    (source,), (target,) = work.sources, work.targets
    photo = images.read(source)
    draws = generator(seed, 0, f"degrade {work.name}")
    degraded = degradation(images.to_tensor(photo.pixels)[0], draws)
    _make_folder(target.parent)
    images.write(target, images.to_pixels(degraded, photo.pixels.dtype), photo)


def _average(work: Work, missing: Sequence[Path]) -> None:
    """Write those of the targets that are missing."""
    blurry, sharp = work.targets
    middle = images.read(work.sources[len(work.sources) // 2])

    def pixels() -> Iterator[np.ndarray]:
        for path in work.sources:
            frame = images.read(path).pixels
            if (frame.shape, frame.dtype) != (middle.pixels.shape, middle.pixels.dtype):
                raise ImageError(
                    f"{shown(path)}: not of the size and depth of the frames around it; remove it "
                    "or keep it in another folder"
                )
            yield frame

    image = average(pixels())
    for target, content in ((blurry, image), (sharp, middle.pixels)):
        if target in missing:
            _make_folder(target.parent)
            images.write(target, content, middle)


def _refuse_unwritable(targets: Sequence[Path]) -> None:
    for target in targets:
        if target.suffix.lower() not in images.WRITABLE:
            raise ImageError(
                f"{shown(target)}: files of type {target.suffix or '(none)'} cannot be written; "
                "convert the photo to PNG first"
            )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{shown(folder)}: cannot make this folder: {error.strerror}") from None


def _natural(name: str) -> list[tuple[int, str]]:
    """A sorting key by which frame-2 comes before frame-10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]
