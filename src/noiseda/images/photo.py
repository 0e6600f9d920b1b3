"""Read image files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from noiseda.errors import ImageError
from noiseda.images import plain
from noiseda.images.library import PathLike, reason, shown, use_thread_pool, vips
from noiseda.images.metadata import get, metadata, orientation, upright
from noiseda.images.tensors import to_8bit

# Rows decoded at a time, so that beside the pixels only a strip of the file's own layout exists.
_STRIP = 256

# The formats whose decoder must have been meant: SVG, for one, is not a photo.
_LOADERS = ("jpegload", "uhdrload", "pngload", "tiffload", "webpload", "gifload", "heifload")


@dataclass(frozen=True, eq=False)
class Kind:
    """What it takes, beside the pixels, to write a photo as the kind of file it was read from.

    Attributes:
        height, width: pixels, after orientation.
        gray: one channel in the file.
        depth: bits a channel in memory, 8 or 16; files of fewer bits are 8.
        alpha: H×W of the same depth, or None.
        metadata: libvips field name to value: ICC profile, EXIF, XMP, IPTC, resolution unit.
        resolution: horizontal and vertical, pixels a millimetre.
    """

    height: int
    width: int
    gray: bool = False
    depth: int = 8
    alpha: np.ndarray | None = None
    metadata: dict[str, bytes | str | int | float] = field(default_factory=dict)
    resolution: tuple[float, float] = (1.0, 1.0)

    @property
    def icc_profile(self) -> bytes | None:
        profile = self.metadata.get("icc-profile-data")
        return profile if isinstance(profile, bytes) else None


@dataclass(frozen=True, eq=False)
class Photo:
    """An image file in memory.

    Attributes:
        pixels: H×W×3 uint8 or uint16, RGB in the file's own colour profile; gray is repeated.
        kind: what else the file holds.
    """

    pixels: np.ndarray
    kind: Kind


class Header(NamedTuple):
    """What a file's header says: `height` and `width` in pixels after orientation, and `depth`,
    bits a channel in memory (8 or 16)."""

    height: int
    width: int
    depth: int

    @property
    def nbytes(self) -> int:
        """Bytes of a photo's `pixels`."""
        return self.height * self.width * 3 * self.depth // 8


def read(path: PathLike) -> Photo:
    """The image in `path`, turned upright as its orientation tag says.

    Formats are told by content, not by name: PNG, JPEG, TIFF, WebP, AVIF, GIF, BMP and PGM/PPM;
    gray or RGB, with or without alpha, palette, 1 to 16 bits.

    Raises:
        ImageError: missing, empty, truncated, damaged, no image, several images in one file,
            neither gray nor RGB of at most 16 bits, or see `library.use_thread_pool`.
    """
    with _opened(path) as (file, head):
        if plain.is_plain(head):
            layout = plain.parse(head)
            decoded = plain.decode(file.read(), layout)
            gray = layout.gray
            # a gray BMP comes through its palette as three equal bands
            pixels = decoded if decoded.shape[2] == 3 else np.repeat(decoded, 3, axis=2)
            depth = pixels.dtype.itemsize * 8
            return Photo(pixels, Kind(*pixels.shape[:2], gray=gray, depth=depth))
        image = _undecoded(file, head)
        if get(image, "vips-loader", "").startswith("webpload"):
            use_thread_pool(path)
        pixels, alpha = _decode(image)
        turn = orientation(image)
        pixels = upright(pixels, turn)
        kind = Kind(
            height=pixels.shape[0],
            width=pixels.shape[1],
            gray=image.bands < 3,
            depth=pixels.dtype.itemsize * 8,
            alpha=None if alpha is None else upright(alpha, turn),
            metadata=metadata(image),
            resolution=(image.yres, image.xres) if turn >= 5 else (image.xres, image.yres),
        )
        return Photo(pixels, kind)


def read_rgb8(path: PathLike) -> np.ndarray:
    """H×W×3 uint8 of the image in `path`: 16 bits are rounded to 8, alpha is dropped.

    Raises:
        ImageError: as `read`.
    """
    return to_8bit(read(path).pixels)


def header(path: PathLike) -> Header:
    """Size and depth from the header alone: the pixels may yet be damaged.

    Raises:
        ImageError: as `read`, as far as the header shows it.
    """
    with _opened(path) as (file, head):
        if plain.is_plain(head):
            layout = plain.parse(head)
            return Header(layout.height, layout.width, layout.dtype.itemsize * 8)
        image = _undecoded(file, head)
        turned = orientation(image) >= 5
        height, width = (image.width, image.height) if turned else (image.height, image.width)
        return Header(height, width, 8 if image.format == "uchar" else 16)


def size(path: PathLike) -> tuple[int, int]:
    """(height, width) of `header`."""
    return header(path)[:2]


@contextmanager
def _opened(path: PathLike) -> Iterator[tuple[BinaryIO, bytes]]:
    """The open file and its first bytes; what goes wrong meanwhile becomes an ImageError."""
    name = shown(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise _RefusedError("is a folder, not an image; give a file inside it")
        if not stat.S_ISREG(status.st_mode):
            raise _RefusedError("is not a regular file; copy the image to a file first")
        if status.st_size == 0:
            raise _RefusedError("the file is empty (0 bytes); copy it again")
        with open(path, "rb") as file:
            head = file.read(plain.HEADER_BYTES)
            file.seek(0)
            yield file, head
    except _RefusedError as error:
        raise ImageError(f"{name}: {error}") from None
    except plain.PlainError as error:
        raise ImageError(
            f"{name}: cannot be decoded, {error}; copy it again or convert it to PNG"
        ) from None
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file; check the path") from None
    except OSError as error:
        why = error.strerror or error
        raise ImageError(f"{name}: cannot be read ({why}); check its permissions") from None
    except MemoryError:
        raise ImageError(f"{name}: too large for this machine's memory; make it smaller") from None
    except vips().Error as error:
        why = reason(error)
        if "not in a known format" in why:
            raise ImageError(
                f"{name}: not an image, truncated, or of a format that is not read; "
                "give a PNG, JPEG, TIFF, WebP, BMP or PPM file"
            ) from None
        raise ImageError(
            f"{name}: truncated or damaged{f' ({why})' if why else ''}; copy or export it again"
        ) from None


class _RefusedError(ValueError):
    """Why a file is not read, without its name."""


def _undecoded(file: BinaryIO, head: bytes) -> Any:
    """A pyvips image of which no pixel is decoded yet, of a kind that can be restored."""
    pyvips = vips()
    # the open file rather than its name: libvips takes brackets in a name for options
    source = pyvips.Source.new_from_descriptor(file.fileno())
    options = {"access": "sequential", "fail_on": "error"}
    if head[:2] == b"\xff\xd8":
        # left to choose, libvips hands phones' HDR JPEG to a loader that is not sequential
        image = pyvips.Image.jpegload_source(source, **options)
    else:
        image = pyvips.Image.new_from_source(source, "", **options)
    loader = get(image, "vips-loader", "")
    if not loader.startswith(_LOADERS):
        raise _RefusedError(
            f"is no photo (read by {loader or 'an unknown loader'}); convert it to PNG"
        )
    pages = get(image, "n-pages", 1)
    if pages > 1 or (head[1:4] == b"PNG" and b"acTL" in head):
        count = f"{pages} images" if pages > 1 else "an animation"
        raise _RefusedError(f"holds {count}; save each as a file of its own")
    if (
        image.interpretation not in ("b-w", "grey16", "srgb", "rgb", "rgb16")
        or image.format not in ("uchar", "ushort")
        or image.bands > 4
    ):
        raise _RefusedError(
            f"its colours ({image.interpretation}, {image.bands} channels of type {image.format})"
            " are neither gray nor RGB of 8 or 16 bits; convert it to RGB"
        )
    return image


def _decode(image: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """H×W×3 pixels and H×W alpha or None, as stored, of an image with 1 to 4 bands."""
    height, width, bands = image.height, image.width, image.bands
    dtype = np.uint8 if image.format == "uchar" else np.uint16
    pixels = np.empty((height, width, 3), dtype)
    alpha = np.empty((height, width), dtype) if bands in (2, 4) else None
    # a region is computed by the calling thread; libvips' thread pool, which whole-image calls
    # use, hangs in a process forked from one that has used it, as data-loading workers may be
    region = vips().Region.new(image)
    for top in range(0, height, _STRIP):
        rows = min(_STRIP, height - top)
        strip = np.frombuffer(region.fetch(0, top, width, rows), dtype)
        strip = strip.reshape(rows, width, bands)
        pixels[top : top + rows] = strip[..., : 3 if bands >= 3 else 1]
        if alpha is not None:
            alpha[top : top + rows] = strip[..., -1]
    return pixels, alpha
