"""SIDD's validation and benchmark blocks: .mat files to folders of PNG and back.

A file holds one variable, images × blocks × 256 × 256 × 3, uint8, RGB: 40×32 of them.
(Abdelhamed et al., A High-Quality Denoising Dataset for Smartphone Cameras, CVPR 2018.)
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from noiseda import images
from noiseda.data.extras import require
from noiseda.errors import DataError, OptionError
from noiseda.files import write_whole
from noiseda.images.library import shown

Progress = Callable[[int, int], None]

VARIABLE = "Idenoised"
"""The variable that is written, which the usual evaluation script in MATLAB reads."""


def read_blocks(file: Path) -> np.ndarray:
    """The blocks in a .mat file, whatever its variable is called.

    Returns:
        images×blocks×H×W×3 uint8, RGB.

    Raises:
        DataError: no such file, damaged, or not exactly one such array in it.
        NoiseDAError: scipy is missing.
    """
    if not file.is_file():
        raise DataError(f"{shown(file)}: no such file; check the path")
    reader = require("scipy.io", extra="mat")
    try:
        content = reader.loadmat(file)
    except NotImplementedError:
        raise DataError(
            f"{shown(file)}: a .mat of version 7.3; save it in MATLAB with save(…, '-v7')"
        ) from None
    except Exception as error:
        # scipy has no error of its own: damaged bytes make it stumble in any way
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(
            f"{shown(file)}: not a whole .mat file ({reason}); download it again"
        ) from None
    arrays = {name: value for name, value in content.items() if not name.startswith("__")}
    fitting = [value for value in arrays.values() if _is_blocks(value)]
    if len(fitting) != 1:
        held = ", ".join(f"{name} {np.shape(value)}" for name, value in arrays.items())
        raise DataError(
            f"{shown(file)}: holds {held or 'nothing'}, not one array images×blocks×height×width×3 "
            "of uint8; give one of SIDD's …BlocksSrgb.mat"
        )
    return fitting[0]


def write_blocks(file: Path, blocks: np.ndarray, variable: str = VARIABLE) -> None:
    """Write blocks into a .mat file; whole or not at all, replacing what was there.

    Args:
        file: the .mat file.
        blocks: as from `read_blocks`.
        variable: what the array is called in it.

    Raises:
        DataError: the file cannot be written.
        NoiseDAError: scipy is missing.
        ValueError: an array of another shape or type.
    """
    if not _is_blocks(blocks):
        raise ValueError(f"expected images×blocks×H×W×3 uint8, got {blocks.shape} {blocks.dtype}")
    content = io.BytesIO()
    require("scipy.io", extra="mat").savemat(content, {variable: blocks}, do_compression=True)
    try:
        write_whole(file, content.getvalue())
    except OSError as error:
        raise DataError(
            f"cannot write {shown(file)}: {error.strerror or error}; check that its folder exists "
            "and is writable"
        ) from None


def _is_blocks(value: Any) -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.ndim == 5
        and value.shape[-1] == 3
        and value.dtype == np.uint8
        and value.size > 0
    )


def name(image: int, block: int) -> str:
    """A block's file, counted from one: `0001_01.png` to `0040_32.png`."""
    return f"{image + 1:04d}_{block + 1:02d}.png"


def to_folder(file: Path, out: Path, progress: Progress | None = None) -> int:
    """Write the blocks of a .mat file as PNG, losslessly; those that are there stay.

    Returns:
        How many blocks there are.

    Raises:
        DataError: see `read_blocks`, or the folder cannot be made.
        ImageError: a file cannot be written.
    """
    blocks = read_blocks(file)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror})") from None
    count, each = blocks.shape[:2]
    for number in range(count * each):
        image, block = divmod(number, each)
        target = out / name(image, block)
        # files appear whole; another content under the name would be another set's
        if not (target.exists() and np.array_equal(images.read_rgb8(target), blocks[image, block])):
            images.write(target, blocks[image, block])
        if progress is not None:
            progress(number + 1, count * each)
    return count * each


def from_folder(
    folder: Path, file: Path, variable: str = VARIABLE, progress: Progress | None = None
) -> tuple[int, ...]:
    """Write restored blocks into a .mat file for submission, RGB, 8 bits.

    Args:
        folder: with one image a block, named as `to_folder` names them.
        file: what to write; replaced if it exists.
        variable: what the array is called in it.

    Returns:
        The array's shape.

    Raises:
        DataError: a block is missing, there twice or of another size; the file cannot be written.
        ImageError: an image cannot be read.
    """
    if not re.fullmatch(r"[A-Za-z]\w{0,62}", variable):
        raise OptionError(f"--variable {variable}: not a name that MATLAB takes")
    found: dict[tuple[int, int], Path] = {}
    others = []
    for path in images.list_images(folder):
        match = re.fullmatch(r"(\d{4})_(\d{2})", path.stem)
        place = (int(match[1]) - 1, int(match[2]) - 1) if match else (-1, -1)
        if min(place) < 0 or place in found:
            others.append(path.name)
        found[place] = path
    if others:
        raise DataError(
            f"{folder}: {len(others)} files are not one block each, as {others[0]}; expected the "
            "names 0001_01.png, 0001_02.png, … once"
        )
    shape = tuple(max(place[axis] for place in found) + 1 for axis in (0, 1))
    missing = [name(*p) for p in np.ndindex(*shape) if p not in found]
    if missing:
        raise DataError(f"{folder}: {len(missing)} blocks are missing, the first is {missing[0]}")
    first = images.read_rgb8(found[0, 0])
    blocks = np.empty((*shape, *first.shape), np.uint8)
    for done, (place, path) in enumerate(sorted(found.items()), start=1):
        pixels = images.read_rgb8(path)
        if pixels.shape != first.shape:
            raise DataError(
                f"{path}: {pixels.shape[1]}×{pixels.shape[0]} pixels, the first block has "
                f"{first.shape[1]}×{first.shape[0]}"
            )
        blocks[place] = pixels
        if progress is not None:
            progress(done, len(found))
    write_blocks(file, blocks, variable)
    return blocks.shape
