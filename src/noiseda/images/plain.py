"""BMP and netpbm files, which the binary package of libvips cannot read or write.

Some training sets (the Waterloo Exploration Database) are BMP. Read: BMP without compression of
8, 24 or 32 bits a pixel, and binary PGM and PPM (P5, P6) of 8 or 16 bits. None holds alpha or
metadata; a BMP's fourth byte is undefined by its specification and ignored.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np

#: Enough of a file for `parse`, whatever comments a netpbm header holds.
HEADER_BYTES = 4096


class PlainError(ValueError):
    """Why the bytes cannot be read; becomes an ImageError where the file name is known."""


@dataclass(frozen=True)
class Layout:
    """Where the pixels of a file are: rows of `stride` bytes from `offset` on."""

    height: int
    width: int
    bands: int
    dtype: np.dtype
    offset: int
    stride: int
    bmp: bool = False
    bottom_up: bool = False
    palette: bytes = b""

    @property
    def gray(self) -> bool:
        colours = [self.palette[i : i + 3] for i in range(0, len(self.palette), 4)]
        return self.bands == 1 and all(len(set(colour)) == 1 for colour in colours)


def is_plain(head: bytes) -> bool:
    """Whether the file that begins with `head` is for this module."""
    return head[:2] == b"BM" or re.match(rb"P[1-6]\s", head) is not None


def parse(head: bytes) -> Layout:
    """Layout of the file that begins with `head`.

    Raises:
        PlainError: the header is damaged or of a variant that is not read.
    """
    layout = _parse_bmp(head) if head[:2] == b"BM" else _parse_netpbm(head)
    if layout.height < 1 or layout.width < 1:
        raise PlainError(f"its header says {layout.width}×{layout.height} pixels")
    return layout


def decode(data: bytes, layout: Layout) -> np.ndarray:
    """H×W×1 or H×W×3 uint8 or uint16 from a whole file.

    Raises:
        PlainError: the file is shorter than its header says.
    """
    used = layout.width * layout.bands * layout.dtype.itemsize
    # the last row may lack its padding
    if len(data) < layout.offset + layout.stride * (layout.height - 1) + used:
        raise PlainError("it ends before its last pixel")
    rows = np.ndarray(
        (layout.height, used), np.uint8, data, layout.offset, strides=(layout.stride, 1)
    )
    if layout.bottom_up:
        rows = rows[::-1]
    pixels = np.ascontiguousarray(rows).view(layout.dtype)
    pixels = pixels.reshape(layout.height, layout.width, layout.bands)
    if layout.palette:
        colours = np.zeros((256, 4), np.uint8)
        known = np.frombuffer(layout.palette, np.uint8).reshape(-1, 4)
        colours[: len(known)] = known
        return colours[pixels[..., 0], 2::-1]
    if layout.bmp:
        return np.ascontiguousarray(pixels[..., 2::-1])
    return pixels.astype(layout.dtype.newbyteorder("="), copy=False)


def _parse_bmp(head: bytes) -> Layout:
    if len(head) < 54:
        raise PlainError("it ends inside its header")
    offset, info, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", head, 10)
    if info < 40 or compression != 0 or bits not in (8, 24, 32):
        raise PlainError(f"this kind of BMP ({bits} bits, compression {compression}) is not read")
    palette = b""
    if bits == 8:
        (colours,) = struct.unpack_from("<I", head, 46)
        palette = head[14 + info : 14 + info + 4 * min(colours or 256, 256)]
        palette = palette[: len(palette) // 4 * 4]
        if not palette:
            raise PlainError("its palette is missing")
    return Layout(
        height=abs(height),
        width=width,
        bands=bits // 8,
        dtype=np.dtype(np.uint8),
        offset=offset,
        stride=(width * bits + 31) // 32 * 4,
        bmp=True,
        bottom_up=height > 0,
        palette=palette,
    )


def _parse_netpbm(head: bytes) -> Layout:
    gap = rb"(?:\s|#[^\r\n]*[\r\n])+"
    header = re.match(rb"P([56])" + (gap + rb"(\d{1,9})") * 3 + rb"\s", head)
    if header is None:
        raise PlainError("of netpbm only binary PGM (P5) and PPM (P6) are read")
    kind, width, height, peak = (int(group) for group in header.groups())
    if peak not in (255, 65535):
        raise PlainError(f"its largest value is {peak}, only 255 and 65535 are read")
    bands = 1 if kind == 5 else 3
    dtype = np.dtype(np.uint8 if peak == 255 else ">u2")
    return Layout(height, width, bands, dtype, header.end(), width * bands * dtype.itemsize)


def encode_bmp(pixels: np.ndarray) -> bytes:
    """A 24-bit BMP of H×W×3 uint8."""
    height, width, _ = pixels.shape
    stride = (width * 3 + 3) // 4 * 4
    rows = np.zeros((height, stride), np.uint8)
    rows[:, : width * 3] = pixels[::-1, :, ::-1].reshape(height, width * 3)
    header = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + rows.size, 0, 54, 40, width, height,
                         1, 24, 0, rows.size, 2835, 2835, 0, 0)  # fmt: skip
    return header + rows.tobytes()


def encode_netpbm(pixels: np.ndarray) -> bytes:
    """A binary PGM (H×W×1) or PPM (H×W×3) of uint8 or uint16."""
    height, width, bands = pixels.shape
    peak = np.iinfo(pixels.dtype).max
    header = f"P{5 if bands == 1 else 6}\n{width} {height}\n{peak}\n".encode()
    return header + pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).tobytes()
