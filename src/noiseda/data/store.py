"""Images decoded once into one memory-mapped 8-bit file, from which crops cost a copy.

A store is a folder in the cache with `pixels.bin` (the images one after another, each H×W×3
uint8) and `index.json`. An image is decoded again only if its path, size or modification time
changed: another selection copies what it shares with an earlier one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import platformdirs

from noiseda import images
from noiseda.errors import DataError, ImageError

_VERSION = 1
# decoded ahead of the writer, so that a slow disk does not pile up images in memory
_AHEAD = 8


class Store:
    """The decoded images of one selection.

    Args:
        pixels: path of `pixels.bin`.
        shapes: height and width of each image.
        offsets: where each starts, in bytes.
    """

    def __init__(
        self, pixels: Path, shapes: Sequence[tuple[int, int]], offsets: Sequence[int]
    ) -> None:
        self.shapes = list(shapes)
        self._offsets = list(offsets)
        self._path = pixels
        self._map: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        """Image `index`, H×W×3 uint8, read-only, not yet in memory."""
        if self._map is None:
            self._map = np.memmap(self._path, np.uint8, "r")
        height, width = self.shapes[index]
        start = self._offsets[index]
        return self._map[start : start + height * width * 3].reshape(height, width, 3)

    def __getstate__(self) -> dict[str, object]:
        # a worker process maps the file itself instead of receiving its pixels
        return {**self.__dict__, "_map": None}


def default_cache() -> Path:
    """Where stores are kept if a recipe does not say."""
    return Path(os.environ.get("NOISEDA_CACHE") or platformdirs.user_cache_dir("noiseda"))


def open_store(
    paths: Sequence[Path],
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Store:
    """The store of these images, made or brought up to date if need be.

    Args:
        paths: image files, at least one.
        cache: folder for stores; `default_cache()` if None.
        progress: called with (decoded, to decode).

    Raises:
        DataError: images that cannot be read (all of them named), or the cache cannot be written.
    """
    if not paths:
        raise DataError("no images to open")
    stamps = [_stamp(path) for path in paths]
    _refuse([stamp for stamp in stamps if isinstance(stamp, str)], len(paths))
    entries = [stamp for stamp in stamps if not isinstance(stamp, str)]
    names = "\n".join(str(entry[0]) for entry in entries)
    # a file's name may be any bytes
    digest = hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = (cache or default_cache()) / digest
    known = _read_index(folder)
    if [item["stamp"] for item in known] != entries:
        try:
            alike = _relatives(folder.parent, entries)
            known = _build(folder, paths, entries, alike[0] if alike else folder, progress)
            for other in alike:
                if other != folder and any(_stamp(Path(s[0])) != s for s in _stamps(other)):
                    # of files that are gone or changed: nobody can open it again as it is
                    shutil.rmtree(other, ignore_errors=True)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the cache of decoded images: {error.strerror}; "
                "free space or set data.cache to another folder"
            ) from None
    shapes = [(int(item["height"]), int(item["width"])) for item in known]
    return Store(folder / _pixels_name(entries), shapes, [int(i["offset"]) for i in known])


def _stamp(path: Path) -> list[str | int] | str:
    """What tells whether the file is still the same, or why it cannot be read."""
    try:
        status = path.stat()
    except OSError as error:
        return f"{path}: cannot read: {error.strerror}"
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def _refuse(failures: Sequence[str], total: int) -> None:
    if failures:
        raise DataError(
            f"{len(failures)} of {total} images cannot be read; remove or exclude them: "
            + " | ".join(failures)
        )


def _pixels_name(entries: list[list[str | int]]) -> str:
    """Named after its content, so that an index never describes another build's pixels."""
    digest = hashlib.sha256(json.dumps([_VERSION, entries]).encode()).hexdigest()[:16]
    return f"pixels-{digest}.bin"


def _read_index(folder: Path) -> list[dict]:
    try:
        content = json.loads((folder / "index.json").read_text())
    except (OSError, ValueError):
        return []
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        return []
    pixels = folder / content["pixels"]
    whole = pixels.is_file() and pixels.stat().st_size == content["bytes"]
    return content["images"] if whole else []


def _stamps(folder: Path) -> list[list]:
    return [item["stamp"] for item in _read_index(folder)]


def _relatives(cache: Path, entries: list[list[str | int]]) -> list[Path]:
    """Stores that share images with `entries` (say, of a folder before it got more), the one that
    shares most first."""
    wanted = {json.dumps(entry) for entry in entries}
    folders = sorted(path.parent for path in cache.glob("*/index.json"))
    shared = {f: len(wanted.intersection(map(json.dumps, _stamps(f)))) for f in folders}
    return sorted((f for f in folders if shared[f]), key=lambda f: -shared[f])


def _build(
    folder: Path,
    paths: Sequence[Path],
    entries: list[list[str | int]],
    donor: Path,
    progress: Callable[[int, int], None] | None,
) -> list[dict]:
    folder.mkdir(parents=True, exist_ok=True)
    known = _read_index(donor)
    old_store = Store(
        donor / _pixels_name([item["stamp"] for item in known]),
        [(item["height"], item["width"]) for item in known],
        [item["offset"] for item in known],
    )
    position = {json.dumps(item["stamp"]): index for index, item in enumerate(known)}

    def decode(number: int) -> np.ndarray | str:
        stamp = json.dumps(entries[number])
        if stamp in position:
            return old_store[position[stamp]]
        try:
            return images.read_rgb8(paths[number])
        except ImageError as error:
            return str(error)

    index: list[dict] = []
    failures: list[str] = []
    offset = 0
    target = folder / _pixels_name(entries)
    temporary = folder / f".pixels.{os.getpid()}.part"
    try:
        with temporary.open("wb") as file, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for first in range(0, len(paths), _AHEAD):
                numbers = range(first, min(first + _AHEAD, len(paths)))
                for number, pixels in zip(numbers, pool.map(decode, numbers), strict=True):
                    if isinstance(pixels, str):
                        failures.append(pixels)
                        continue
                    file.write(np.ascontiguousarray(pixels).data)
                    index.append(
                        {
                            "stamp": entries[number],
                            "height": pixels.shape[0],
                            "width": pixels.shape[1],
                            "offset": offset,
                        }
                    )
                    offset += pixels.size
                if progress:
                    progress(numbers.stop, len(paths))
        _refuse(failures, len(paths))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    content = {"version": _VERSION, "pixels": target.name, "bytes": offset, "images": index}
    part = folder / f".index.{os.getpid()}.part"
    part.write_text(json.dumps(content))
    os.replace(part, folder / "index.json")
    for other in folder.glob("pixels-*.bin"):
        if other != target:
            other.unlink(missing_ok=True)
    return index
