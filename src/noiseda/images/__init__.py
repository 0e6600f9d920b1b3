"""The only door between image files and tensors.

Files are read whole or refused, and written in the kind they were read: depth, channels, alpha
and embedded metadata. Decoding and encoding is libvips' work; BMP and netpbm, which its binary
package lacks, are in `plain`.
"""

from __future__ import annotations

from noiseda.images.folders import SUFFIXES, list_images
from noiseda.images.memory import text, through_jpeg
from noiseda.images.photo import Header, Kind, Photo, header, read, read_rgb8, size
from noiseda.images.tensors import to_8bit, to_pixels, to_tensor
from noiseda.images.writing import WRITABLE, write

__all__ = [
    "SUFFIXES",
    "WRITABLE",
    "Header",
    "Kind",
    "Photo",
    "header",
    "list_images",
    "read",
    "read_rgb8",
    "size",
    "text",
    "through_jpeg",
    "to_8bit",
    "to_pixels",
    "to_tensor",
    "write",
]
