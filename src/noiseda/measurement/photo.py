"""The noise of one photo, from its flat patches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noiseda.measurement import patches
from noiseda.measurement.patches import REACH, Patches

_BINS = 8
_FEWEST = 64
# flat is a fifth of a class of brightness if all of it is about equally noisy, else the least few
_LEAST, _FLAT = 0.03, 0.2
_EVEN = 1.2
# patches with more black and white pixels say less about noise than about clipping; if hardly any
# other are left, they have to do
_CLIPPED = (0.02, 0.1, 0.5, 1.0)
# steepest change of log σ, per unit of brightness. Cameras' tone curves stay below; where no flat
# patch has some brightness, texture makes σ leap far above
_STEEPEST = 12.0
# what rounding to 8 bits leaves everywhere, in 1/255
ROUNDING = 0.3
# a patch with more than this times the variance of the noise is not flat
_TOLERANCE = 1.6

_ALONE = np.zeros((2 * REACH + 1, 2 * REACH + 1))
_ALONE[REACH, REACH] = 1
WHITE = np.eye(3)[..., None, None] * _ALONE
"""3×3×9×9: the correlation of white noise."""


@dataclass(frozen=True, eq=False)
class PhotoNoise:
    """Noise of one photo, in units of 1/255; colours R, G, B.

    Attributes:
        brightness: for each colour, increasing brightnesses in [0, 1] at which σ was measured.
        sigma: for each colour, σ there.
        overall: 3, root mean square of σ over the photo.
        correlation: 3×3×9×9, of a pixel's colour with another colour, or the same, of the pixels
            around it, see `patches.covariance`; 1 between a pixel's colour and itself.
        compared: whether there were patches to compare the colours in; if not, the correlation
            between two is 0.
        patches: flat patches that were used, mean over the colours.
        even: share of the brightness classes in which the flattest fifth is equally noisy, mean
            over the colours. Elsewhere texture may be taken for noise, or the camera has denoised.
    """

    brightness: list[np.ndarray]
    sigma: list[np.ndarray]
    overall: np.ndarray
    correlation: np.ndarray
    compared: bool
    patches: int
    even: float


def measure(photo: np.ndarray) -> PhotoNoise:
    """Measure a photo, H×W×3 with H and W at least `patches.SIDE`."""
    found = patches.cut(photo)
    # each colour in units of its own noise, or the noisiest would decide alone
    common = np.maximum(np.quantile(found.coarse, 0.2, axis=0), 0.1)
    texture = (found.coarse / common).sum(1)
    colors = [_measure(found, texture, channel) for channel in range(3)]
    spread = np.stack([color.at(found.brightness[:, c]) for c, color in enumerate(colors)])
    correlation, compared = _correlation(found, colors)
    return PhotoNoise(
        brightness=[np.clip(color.point / 255, 0, 1) for color in colors],
        sigma=[color.level for color in colors],
        overall=np.sqrt((spread**2).mean(1)),
        correlation=correlation,
        compared=compared,
        patches=round(sum(len(color.flat) for color in colors) / 3),
        even=float(np.mean([color.even for color in colors])),
    )


@dataclass(frozen=True, eq=False)
class _Color:
    """Noise of one colour: σ `level` at brightnesses `point`, both in 1/255, and the flat patches
    it comes from; `even` as in `PhotoNoise`."""

    point: np.ndarray
    level: np.ndarray
    flat: np.ndarray
    correlation: np.ndarray
    even: float

    def at(self, brightness: np.ndarray) -> np.ndarray:
        """σ where the brightness, in 1/255, is this."""
        return np.interp(brightness, self.point, self.level)


def _measure(found: Patches, texture: np.ndarray, channel: int) -> _Color:
    brightness = found.brightness[:, channel]
    classes = _classes(found, texture, channel)
    point = np.array([brightness[c.flat].mean() for c in classes])
    level = _envelope(point, np.array([c.level for c in classes]))
    flat = np.concatenate([c.flat for c in classes if c.even] or [c.flat for c in classes])
    expected = np.interp(brightness[flat], point, level)
    alike = _alike(found.variance[flat, channel], expected)
    flat, expected = flat[alike], expected[alike]
    correlation = _ALONE
    if len(flat):
        # of unit variance, so that bright and dark patches count the same
        fine = patches.covariance([found.residual(flat, channel) / expected[:, None]])[0, 0]
        true = patches.unbiased(fine)
        growth = _growth(fine, true)
        if growth:
            correlation = true / true[REACH, REACH]
            level = level * np.sqrt(max(growth, 1))
    even = sum(c.even for c in classes) / len(classes)
    return _Color(point, level, flat, correlation, even)


@dataclass(frozen=True, eq=False)
class _Class:
    """The flattest patches of one class of brightness, their σ, and whether they are even."""

    flat: np.ndarray
    level: float
    even: bool


def _classes(found: Patches, texture: np.ndarray, channel: int) -> list[_Class]:
    """Up to `_BINS` equally large classes of brightness, by increasing brightness."""
    clipped = found.clipped[:, channel]
    enough = min(max(_FEWEST // 2, len(clipped) // 20), len(clipped))
    limit = next(share for share in _CLIPPED if (clipped <= share).sum() >= enough)
    usable = np.flatnonzero(clipped <= limit)
    usable = usable[np.argsort(found.brightness[usable, channel], kind="stable")]
    count = min(max(len(usable) // _FEWEST, 1), _BINS)
    classes = []
    for members in np.array_split(usable, count):
        order = members[np.argsort(texture[members], kind="stable")]
        few, flat = (order[: max(8, int(share * len(order)))] for share in (_LEAST, _FLAT))
        even = _evenness(found.variance[flat, channel]) <= _EVEN
        used = flat if even else few
        level = float(np.sqrt(np.median(found.variance[used, channel])))
        classes.append(_Class(used, level, even))
    return classes


def _evenness(variance: np.ndarray) -> float:
    """Median σ over the one that a tenth of the patches stay below.

    By chance 1.05 for white noise, a little more for correlated noise; much more where texture adds
    to it or a camera has removed some of it.
    """
    low, middle = np.maximum(np.quantile(variance, [0.1, 0.5]), ROUNDING**2)
    return float(np.sqrt(middle / low))


def _envelope(point: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The largest curve below all levels whose logarithm is nowhere steeper than `_STEEPEST`."""
    distance = np.abs(point[:, None] - point) / 255
    reachable = np.maximum(level, ROUNDING) * np.exp(_STEEPEST * distance)
    return np.minimum(level, reachable.min(1))


def _alike(variance: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Which patches have the expected σ; a patch without any noise has no correlation either."""
    return (variance > 0) & (variance <= _TOLERANCE * expected**2)


def _growth(fine: np.ndarray, true: np.ndarray) -> float:
    """What the coarse part of the noise adds to its variance, as a factor; 0 if that cannot be, as
    of a few patches it is little known."""
    growth = patches.FREEDOM / patches.SIDE**2 * true[REACH, REACH] / fine[REACH, REACH]
    return growth if 0.8 < growth < 4 else 0.0


def _correlation(found: Patches, colors: list[_Color]) -> tuple[np.ndarray, bool]:
    """Correlation within the colours, and between two from patches that are flat in all; whether
    there are such. A few patches tell only that of the same pixel; around it, it is then taken to
    fall as those within the two colours do."""
    result = WHITE.copy()
    for channel, color in enumerate(colors):
        result[channel, channel] = color.correlation
    flat = np.unique(np.concatenate([color.flat for color in colors]))
    expected = np.stack([color.at(found.brightness[flat, c]) for c, color in enumerate(colors)], 1)
    kept = _alike(found.variance[flat], expected).all(1)
    if not kept.any():
        return result, False
    scaled = [found.residual(flat[kept], c) / expected[kept, c, None] for c in range(3)]
    fine = patches.covariance(scaled)
    true = patches.unbiased(fine)
    if not all(_growth(fine[c, c], true[c, c]) for c in range(3)):
        falling = result[range(3), range(3)]
        true = fine[..., REACH, REACH, None, None] * (falling[:, None] + falling) / 2
    size = np.sqrt(true[range(3), range(3), REACH, REACH])
    between = ~np.eye(3, dtype=bool)
    result[between] = (true / np.multiply.outer(size, size)[..., None, None])[between]
    return result, True
