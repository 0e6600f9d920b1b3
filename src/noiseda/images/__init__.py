"""The only door between image files and tensors.

Files are read whole or refused, and written in the kind they were read: depth, channels, alpha
and embedded metadata. Decoding and encoding is libvips' work; BMP and netpbm, which its binary
package lacks, are in `plain`.
"""

from __future__ import annotations

from noiseda.images.folders import SUFFIXES, list_images
from noiseda.images.photo import Kind, Photo, read, read_rgb8, size
from noiseda.images.tensors import to_8bit, to_pixels, to_tensor
from noiseda.images.writing import WRITABLE, write

__all__ = [
    "SUFFIXES",
    "WRITABLE",
    "Kind",
    "Photo",
    "list_images",
    "read",
    "read_rgb8",
    "size",
    "to_8bit",
    "to_pixels",
    "to_tensor",
    "write",
]
