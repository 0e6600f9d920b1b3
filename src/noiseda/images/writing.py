"""Write image files, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from noiseda.errors import ImageError, WriteError, did_you_mean
from noiseda.files import write_whole
from noiseda.images import plain
from noiseda.images.library import PathLike, reason, shown, use_thread_pool, vips
from noiseda.images.photo import Kind, Photo
from noiseda.images.tensors import check, to_8bit, to_16bit


def _encoder(save: str, **options: Any) -> Callable[[Any], bytes]:
    return lambda image: getattr(image, save)(**options)


# optimised Huffman tables would spare a few percent of the file for three copies of the pixels
_JPEG = _encoder("jpegsave_buffer", Q=95, subsample_mode="off")
# the "sub" filter makes photos a third smaller than none in the same time
_PNG = _encoder("pngsave_buffer", filter="sub")
_TIFF = _encoder("tiffsave_buffer", compression="deflate", predictor="horizontal")
# exact: colours under full transparency are kept too; more effort takes many seconds a photo
_WEBP = _encoder("webpsave_buffer", lossless=True, exact=True, effort=1)

_ENCODERS = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
    ".jfif": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": _WEBP,
}
_BMP = (".bmp", ".dib")
_NETPBM = (".ppm", ".pgm", ".pnm")

#: Suffixes, in lower case, that `write` knows. All but the four of JPEG are lossless.
WRITABLE = frozenset([*_ENCODERS, *_BMP, *_NETPBM])


def write(path: PathLike, pixels: np.ndarray, like: Photo | Kind | None = None) -> None:
    """Write `pixels` as the kind of file that `like` was read from, in the format of the suffix.

    Depth, channels, alpha, ICC profile, EXIF, XMP and resolution are those of `like`, as far as
    the format holds them: JPEG, WebP and BMP have 8 bits, to which 16 are rounded; JPEG, BMP and
    PPM have no alpha, TIFF no EXIF, BMP and PPM no metadata. Gray is the mean of the three
    channels, rounded. JPEG is written with quality 95 and full-resolution colour.

    The file appears under its name only when complete, replacing what was there.

    Args:
        path: the file; its folder must exist.
        pixels: H×W×3 uint8 or uint16, upright.
        like: the photo the pixels were made from, or its kind; without it, RGB of the pixels' own
            depth. A photo's `kind` is enough and lets its pixels go.

    Raises:
        ImageError: unknown suffix, colour to PGM, a size other than that of `like`, no
            permission, a full disk, or an image larger than the format allows.
        ValueError: pixels of another shape or type.
    """
    check(pixels)
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        hint = did_you_mean(suffix, WRITABLE) if suffix else "; add a suffix such as .png"
        raise ImageError(f"{shown(path)}: cannot write files of type {suffix or 'none'}{hint}")
    if path.is_dir():
        raise ImageError(f"{shown(path)}: is a folder; give the name of a file")
    height, width, _ = pixels.shape
    kind = like.kind if isinstance(like, Photo) else like
    if kind is None:
        kind = Kind(height, width, depth=pixels.dtype.itemsize * 8)
    if suffix == ".pgm" and not kind.gray:
        raise ImageError(f"{shown(path)}: PGM cannot hold colour; write .ppm or .png")
    if (height, width) != (kind.height, kind.width):
        raise ImageError(
            f"{shown(path)}: {width}×{height} pixels cannot be written like a photo of"
            f" {kind.width}×{kind.height}; give both the same size"
        )
    if suffix in _ENCODERS:
        use_thread_pool(path)
    try:
        data = _encode(pixels, kind, suffix)
    except vips().Error as error:
        raise ImageError(
            f"{shown(path)}: cannot be encoded ({reason(error)}); choose another format such as PNG"
        ) from None
    _replace(path, data)


def _encode(pixels: np.ndarray, kind: Kind, suffix: str) -> bytes:
    """The bytes of the file."""
    holds_16 = suffix in (".png", ".tif", ".tiff", *_NETPBM)
    fit = to_16bit if kind.depth == 16 and holds_16 else to_8bit
    gray = kind.gray and suffix not in (".webp", ".ppm", *_BMP)
    pixels = fit(_mean(pixels) if gray else pixels)
    if suffix in _BMP:
        return plain.encode_bmp(pixels)
    if suffix in _NETPBM:
        return plain.encode_netpbm(pixels)
    image = _image(pixels)
    if kind.alpha is not None and _ENCODERS[suffix] is not _JPEG:
        image = image.bandjoin(_image(fit(kind.alpha)[..., np.newaxis]))
    deep = pixels.dtype == np.uint16
    image = image.copy(
        interpretation=("grey16" if deep else "b-w") if gray else ("rgb16" if deep else "srgb"),
        xres=kind.resolution[0],
        yres=kind.resolution[1],
    )
    types = vips().GValue
    by_type = {
        bytes: types.blob_type,
        str: types.gstr_type,
        int: types.gint_type,
        float: types.gdouble_type,
    }
    for name, value in kind.metadata.items():
        image.set_type(by_type[type(value)], name, value)
    # without the field, the tag inside the EXIF block would live on
    image.set_type(types.gint_type, "orientation", 1)
    profile = kind.icc_profile
    if profile is not None and not gray and profile[16:20] == b"GRAY":
        # a profile for one channel does not describe three
        image.remove("icc-profile-data")
    return _ENCODERS[suffix](image)


def _image(pixels: np.ndarray) -> Any:
    """H×W×C as a pyvips image that uses the same memory."""
    pixels = np.ascontiguousarray(pixels)
    height, width, bands = pixels.shape
    form = "uchar" if pixels.dtype == np.uint8 else "ushort"
    return vips().Image.new_from_memory(pixels.data, width, height, bands, form)


def _mean(pixels: np.ndarray) -> np.ndarray:
    """H×W×1, the mean of the three channels, rounded to the nearest integer."""
    total = pixels.sum(axis=2, keepdims=True, dtype=np.uint32)
    total += 1
    total //= 3
    return total.astype(pixels.dtype)


def _replace(path: Path, data: bytes) -> None:
    """Put `data` under `path` in one step, or leave everything as it was."""
    try:
        write_whole(path, data)
    except FileNotFoundError:
        raise ImageError(
            f"{shown(path)}: the folder {shown(path.parent)} does not exist; create it first"
        ) from None
    except OSError as error:
        why = error.strerror or error
        raise WriteError(
            f"{shown(path)}: cannot be written ({why}); check the disk's free space and the"
            " folder's permissions"
        ) from None
