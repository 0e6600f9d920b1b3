"""What a photo says about itself beside its pixels, and its turning upright."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np

_KEPT = re.compile(
    r"exif-(data|ifd[0234]-(?!Orientation)).*|png-comment-.*"
    r"|(xmp|iptc|icc-profile)-data|resolution-unit"
)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """H×W or H×W×C turned and mirrored as an EXIF orientation (1 to 8) asks; contiguous."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def orientation(image: Any) -> int:
    """The orientation tag, 1 to 8; 1 if there is none or it is wrong."""
    tag = get(image, "orientation", 1)
    return tag if tag in range(1, 9) else 1


def metadata(image: Any) -> dict[str, bytes | str | int | float]:
    """The fields that go into the restored file."""
    values = {name: image.get(name) for name in image.get_fields() if _KEPT.fullmatch(name)}
    if isinstance(xmp := values.get("xmp-data"), bytes):
        # XMP may repeat the orientation tag, which has been applied
        values["xmp-data"] = re.sub(rb"(tiff:Orientation(?:=[\"']|>))[2-8]", rb"\g<1>1", xmp)
    if isinstance(exif := values.get("exif-data"), bytes):
        values["exif-data"] = _without_thumbnail(exif)
    return values


def _without_thumbnail(exif: bytes) -> bytes:
    """The EXIF block without its second directory: a thumbnail of the photo before restoration,
    which some programs would go on to show."""
    data = bytearray(exif)
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    order = "<" if exif[start : start + 2] == b"II" else ">"
    try:
        first = start + struct.unpack_from(f"{order}I", data, start + 4)[0]
        (entries,) = struct.unpack_from(f"{order}H", data, first)
        # after its entries of 12 bytes, a directory ends with the place of the next one
        struct.pack_into(f"{order}I", data, first + 2 + 12 * entries, 0)
    except struct.error:
        return exif
    return bytes(data)


def get(image: Any, name: str, default: Any) -> Any:
    """A field of a pyvips image, or `default` if it has no such field."""
    return image.get(name) if image.get_typeof(name) else default
