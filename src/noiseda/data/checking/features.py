"""What is kept of an image to find it again: re-encoded, scaled or as a crop.

Two descriptions. A hash of the whole picture (the signs of low DCT frequencies of a thumbnail,
known as pHash) finds copies of the whole. Local points find crops: places of greatest contrast
at many scales, each with the signs of its surroundings' DCT. The scales lie on a grid that does
not depend on the image's size (2^(-k/3) of its own pixels), so that a crop has, away from its
borders, the same points as the image it was cut from.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# side of the thumbnail, and of the part of its spectrum that is hashed
_THUMBNAIL = 32
_LOW = 8
# scales per octave, and the smallest side of a level
_PER_OCTAVE = 3
_SMALLEST = 28
# pixels of the finest level that is described
_BUDGET = 300_000
# of a level's pixels: no second point this near; half the side of the surroundings described
_APART = 5
_AROUND = 12
# least contrast of a point, of a range of 255
_CONTRAST = 2.0


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """An image's description.

    Attributes:
        height, width: of the image.
        whole: pHash, 64 bits as uint64.
        thumbnail: 32×32 float32, gray values, of the whole image squeezed.
        points: N×3 float32, centre x and y in the image's pixels, and the scale of the level.
        codes: N uint64, one bit for each of 63 frequencies.
    """

    height: int
    width: int
    whole: int
    thumbnail: np.ndarray
    points: np.ndarray
    codes: np.ndarray


def luma(pixels: np.ndarray) -> np.ndarray:
    """H×W float32 gray values of H×W×3 uint8."""
    return pixels @ np.array([0.299, 0.587, 0.114], np.float32)


def resize(gray: np.ndarray, height: int, width: int) -> np.ndarray:
    """Gray values at another size: smoothed if smaller, then linear between pixel centres."""
    while min(gray.shape[0] / height, gray.shape[1] / width) >= 4:
        # wide filters on large images would take most of the time
        gray = halved(gray)
    factors = gray.shape[0] / height, gray.shape[1] / width
    smooth = [max(0.0, 0.5 * (factor - 1)) for factor in factors]
    if max(smooth) > 0:
        gray = ndimage.gaussian_filter(gray, smooth, mode="nearest", truncate=3.0)
    rows, columns = (
        np.clip((np.arange(count) + 0.5) * factor - 0.5, 0, size - 1)
        for count, factor, size in zip((height, width), factors, gray.shape, strict=True)
    )
    return _between(_between(gray, rows, 0), columns, 1)


def halved(gray: np.ndarray) -> np.ndarray:
    """Means of 2×2 pixels; a last odd row or column is left out."""
    height, width = (size // 2 * 2 for size in gray.shape)
    even = gray[:height, :width]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def _between(gray: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    low = np.minimum(places.astype(int), max(gray.shape[axis] - 2, 0))
    high = np.minimum(low + 1, gray.shape[axis] - 1)
    part = (places - low).astype(np.float32)
    part = part[:, None] if axis == 0 else part[None, :]
    return gray.take(low, axis) * (1 - part) + gray.take(high, axis) * part


def fingerprint(pixels: np.ndarray, local: bool = True) -> Fingerprint:
    """Describe an image.

    Args:
        pixels: H×W×3 uint8.
        local: also by points, by which crops are found.
    """
    height, width = pixels.shape[:2]
    gray = luma(pixels)
    thumbnail = resize(gray, _THUMBNAIL, _THUMBNAIL)
    points, codes = _points(gray) if local else (np.empty((0, 3), np.float32), np.empty(0, "u8"))
    return Fingerprint(height, width, whole_hash(thumbnail), thumbnail, points, codes)


def whole_hash(thumbnail: np.ndarray) -> int:
    """pHash, 64 bits, of a thumbnail; that of a flipped thumbnail is the flipped image's."""
    spectrum = (_cosines(_THUMBNAIL) @ thumbnail @ _cosines(_THUMBNAIL).T).ravel()
    return int(_packed((spectrum > np.median(spectrum[1:]))[None])[0])


@functools.cache
def _cosines(count: int) -> np.ndarray:
    """The lowest frequencies of the cosine transform (DCT-II) of `count` values, 8×count."""
    frequency, place = np.mgrid[:_LOW, :count]
    return np.cos(np.pi * (place + 0.5) * frequency / count).astype(np.float32)


def _packed(bits: np.ndarray) -> np.ndarray:
    """N uint64 of N×64 (or fewer) bits."""
    full = np.zeros((len(bits), 64), bool)
    full[:, : bits.shape[1]] = bits
    return np.packbits(full, axis=1).view(">u8").astype(np.uint64).ravel()


def _points(gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points and codes of all levels."""
    height, width = gray.shape
    finest = max(0, int(np.ceil(_PER_OCTAVE / 2 * np.log2(height * width / _BUDGET))))
    places, codes = [np.empty((0, 3), np.float32)], [np.empty(0, np.uint64)]
    level = gray
    for number in range(finest, finest + 40):
        scale = 2.0 ** (-number / _PER_OCTAVE)
        size = round(height * scale), round(width * scale)
        if min(size) < _SMALLEST:
            break
        # from the level before, which is hardly larger: cheaper than from the image
        level = resize(level, *size)
        found, code = _level(level)
        places.append(np.column_stack([(found[:, ::-1] + 0.5) / scale, np.full(len(found), scale)]))
        codes.append(code)
    return np.concatenate(places).astype(np.float32), np.concatenate(codes)


def _level(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of one level's points, N×2, and their codes."""
    smooth = ndimage.gaussian_filter(level, 1.3, truncate=2.5)
    contrast = np.abs(smooth - ndimage.gaussian_filter(smooth, 2.0, truncate=2.5))
    peak = ndimage.maximum_filter(contrast, 2 * _APART + 1)
    found = np.argwhere((contrast == peak) & (contrast > _CONTRAST))
    inside = (found >= _AROUND) & (found < np.array(level.shape) - _AROUND)
    found = found[inside.all(axis=1)]
    if not len(found):
        return np.empty((0, 2)), np.empty(0, np.uint64)
    # 8×8 samples, 3 pixels apart, of the level smoothed to about that distance
    steps = np.arange(_LOW) * 3 - _AROUND + 1
    rows = found[:, 0, None, None] + steps[None, :, None]
    columns = found[:, 1, None, None] + steps[None, None, :]
    spectrum = (_cosines(_LOW) @ smooth[rows, columns] @ _cosines(_LOW).T).reshape(len(found), -1)
    return found, _packed(spectrum[:, _ORDER] > 0)


def _by_frequency() -> np.ndarray:
    """The 63 frequencies but the mean, lowest first."""
    rows, columns = np.mgrid[:_LOW, :_LOW]
    return np.argsort((rows + columns).ravel(), kind="stable")[1:]


_ORDER = _by_frequency()
