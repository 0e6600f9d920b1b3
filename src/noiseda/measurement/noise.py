"""Noise of photos without their ground truth.

Flat patches of 16×16 pixels tell the noise. Of each of eight classes of brightness the fifth with
the least coarse variation is taken (the least few, if the fifth is not about equally noisy); the
median variance of the fine residual is σ² there, but for the coarse part of the noise, which its
correlation tells (`patches.unbiased`). A limit on how steeply σ may change with the brightness
replaces classes that have no flat patch. Of several photos, those whose colours share the least
tell the correlation; what the colours of the others share beyond it is texture, which is the same
in all colours, and is taken off σ.

Against ground truth (studies/measurement, medians over photos): 0.98 of the true σ on RENOIR and
1.07 on synthetic camera noise, with correlations right to 0.02, where wavelets find 0.35 of σ, as
they take correlated noise for detail. What flat patches cannot tell: cameras that denoise leave
more noise in texture than in flat areas (PolyU: 0.63), and fine texture everywhere counts as noise
(small clean photos of BSDS500: σ 5). In most such photos flat areas are not equally noisy, which
`Noise.uneven` counts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noiseda.errors import DataError
from noiseda.measurement import photo as one_photo
from noiseda.measurement.patches import REACH, SIDE
from noiseda.measurement.photo import WHITE, PhotoNoise

# with fewer flat patches, how much the colours share is too much a matter of chance to rank by
_FEWEST = 64
# more than this share of the variance in flat patches is not texture but other noise
_MOST_TEXTURE = 0.5

KNOTS = tuple(k / 16 for k in range(17))
"""Brightnesses at which σ is reported."""

# below this, in 1/255, is no noise but the last bits of the arithmetic
_FAINT = 0.05

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Noise:
    """Noise of a photo or of a collection; σ in units of 1/255, colours in the order R, G, B.

    It is the noise before clipping: the true colour plus noise of these statistics, clamped to
    [0, 1], looks like the photo. Rounding to 8 bits adds 0.29 to what an exact image has.

    Attributes:
        photos: how many were measured.
        uneven: how many of them are unevenly noisy even where they are flat, at most of their
            brightnesses: texture may be taken for noise, or the camera has denoised. They are left
            out, unless most are such.
        patches: flat patches that were used, over all photos.
        sigma: overall σ of each colour: root mean square over a photo, median over photos; of
            several photos without what texture adds, see `combine`.
        brightness: K brightnesses in [0, 1].
        curve: K×3, σ there; constant beyond the brightnesses in `seen`.
        seen: for each colour, the lowest and highest brightness with flat patches.
        correlation: 3×3×9×9 between a colour of a pixel and each colour of those up to 4 rows and
            columns away; noise of neighbours is often alike in what colour it has rather than in
            how bright it is.
        scale: strength of single photos relative to `curve`, 10 % and 90 % quantiles.
    """

    photos: int
    uneven: int
    patches: int
    sigma: Triple
    brightness: tuple[float, ...]
    curve: tuple[Triple, ...]
    seen: tuple[tuple[float, float], ...]
    correlation: tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]
    scale: tuple[float, float]

    @property
    def overall(self) -> float:
        """Root mean square of σ over the colours, in 1/255."""
        return float(np.sqrt(np.mean(np.square(self.sigma))))

    @property
    def color(self) -> np.ndarray:
        """3×3: correlation between the colours of a pixel."""
        return np.array(self.correlation)[:, :, REACH, REACH]

    @property
    def horizontal(self) -> np.ndarray:
        """3×4: correlation with the pixels 1 to 4 to the right, for each colour."""
        return self._within[:, REACH, REACH + 1 :]

    @property
    def vertical(self) -> np.ndarray:
        """3×4: correlation with the pixels 1 to 4 below, for each colour."""
        return self._within[:, REACH + 1 :, REACH]

    @property
    def _within(self) -> np.ndarray:
        """3×9×9: correlation of each colour with itself."""
        return np.array(self.correlation)[range(3), range(3)]

    @property
    def neighbours(self) -> float:
        """Correlation of neighbouring pixels, mean over colours and both directions."""
        return float((self.horizontal + self.vertical)[:, 0].mean() / 2)

    def correlation_of(self, weights: Sequence[float]) -> np.ndarray:
        """9×9: correlation of a weighted sum of the colours, such as brightness (1, 1, 1) or the
        difference of two (1, -1, 0); 0 where there is no noise, as in that of a gray photo."""
        scaled = np.multiply(weights, self.sigma)
        table = np.einsum("c,d,cdij->ij", scaled, scaled, np.array(self.correlation))
        power = table[REACH, REACH]
        return table / power if power > 1e-6 * (scaled**2).sum() else np.zeros_like(table)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, for JSON."""
        values = {"overall": self.overall, **dataclasses.asdict(self)}
        values["color"] = self.color.tolist()
        values["horizontal"] = self.horizontal.tolist()
        values["vertical"] = self.vertical.tolist()
        return {key: _plain(value) for key, value in values.items()}


def measure(photos: np.ndarray | Iterable[np.ndarray]) -> Noise:
    """Measure a photo, or the common noise of several.

    For photos taken with one camera and setting, or with a few alike. Photos with a side below
    16 pixels say nothing and are left out. Deterministic; about 0.15 s a photo of any size.

    Args:
        photos: H×W×3 in RGB, uint8, uint16 or float in [0, 1]; or an iterable of such, read one
            at a time.

    Raises:
        DataError: no photo, or none of at least 16×16 pixels.
        ValueError: another shape or type.
    """
    given = [photos] if isinstance(photos, np.ndarray) else photos
    return combine([one_photo.measure(photo) for photo in given if large_enough(photo)])


def large_enough(photo: np.ndarray) -> bool:
    """Whether a photo has a patch to measure.

    Raises:
        ValueError: not H×W×3, or of a type that is no image's.
    """
    if photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"photo must be H×W×3, not of shape {photo.shape}")
    if photo.dtype not in (np.uint8, np.uint16) and photo.dtype.kind != "f":
        raise ValueError(f"photo must be uint8, uint16 or float, not {photo.dtype}")
    return min(photo.shape[:2]) >= SIDE


def combine(photos: list[PhotoNoise]) -> Noise:
    """The noise that photos have in common.

    Each photo's curve of σ is taken for a common curve times the photo's own strength, both as
    medians (Tukey's median polish of log σ): a textured photo does not spoil the curve, and photos
    of different brightness complete each other. The correlation is the median over the third of the
    photos whose colours share the least; what two colours share beyond it in the others is texture
    and is taken off their σ. Of photos of several cameras it may be noise: there σ is up to 30 %
    too small for those whose noise is nearer to gray.

    Raises:
        DataError: no photo.
    """
    if not photos:
        raise DataError(
            f"no photo to measure the noise of; give at least one of {SIDE}×{SIDE} pixels"
        )
    measured = len(photos)
    flat = [photo for photo in photos if photo.even >= 0.5]
    # a few even ones do not speak for the others
    if len(flat) >= measured / 2:
        photos = flat
    # photos with hardly more than rounding have hardly any correlation
    noisy = [photo for photo in photos if photo.overall.mean() > 1.5 * one_photo.ROUNDING]
    correlation = np.median([photo.correlation for photo in _plainest(noisy or photos)], 0)
    photos = [_without_texture(photo, correlation[..., REACH, REACH]) for photo in photos]
    logarithm = np.stack([_on_knots(photo) for photo in photos])
    strength = np.zeros(len(photos))
    curve = _median(logarithm)
    for _ in range(10):
        strength = np.nanmedian((logarithm - curve).reshape(len(photos), -1), 1)
        strength -= np.median(strength)
        curve = _median(logarithm - strength[:, None, None])
    sigma = np.median([photo.overall for photo in photos], 0)
    if sigma.max() <= _FAINT:
        correlation = WHITE
    low, high = np.quantile(np.exp(strength), [0.1, 0.9]).tolist()
    return Noise(
        photos=measured,
        uneven=measured - len(flat),
        patches=sum(photo.patches for photo in photos),
        sigma=_tuples(np.where(sigma > _FAINT, sigma, 0)),
        brightness=KNOTS,
        curve=_tuples(np.stack([_filled(values) for values in curve], 1)),
        seen=_tuples([_range(photos, channel) for channel in range(3)]),
        correlation=_tuples(correlation),
        scale=(low, high),
    )


def _plainest(photos: list[PhotoNoise]) -> list[PhotoNoise]:
    """The third whose colours share the least; no fewer than three. Photos of a camera differ in
    this by their texture, which is the same in all colours and which no patch of a textured photo
    is quite without."""
    telling = [photo for photo in photos if photo.compared and photo.patches >= _FEWEST]
    if len(telling) < 3:
        return photos
    ranked = sorted(telling, key=lambda photo: photo.correlation[..., REACH, REACH].sum())
    return ranked[: max(math.ceil(len(ranked) / 3), 3)]


def _without_texture(photo: PhotoNoise, color: np.ndarray) -> PhotoNoise:
    """The photo with σ of its noise alone, if the noise of two colours correlates by `color`, 3×3.

    What they share beyond that is texture, of the same variance in all colours. The nearer noise
    itself is to gray, the less of the texture is found so, and never too much.
    """
    if not photo.compared:
        return photo
    beyond = photo.correlation[..., REACH, REACH] - color
    # the diagonal is zero; six pairs
    texture = float((beyond * np.outer(photo.overall, photo.overall)).sum()) / 6
    variance = photo.overall**2
    if not 0 < texture < _MOST_TEXTURE * variance.min():
        return photo
    part = np.sqrt(1 - texture / variance)
    sigma = [level * factor for level, factor in zip(photo.sigma, part, strict=True)]
    return dataclasses.replace(photo, sigma=sigma, overall=photo.overall * part)


def _on_knots(photo: PhotoNoise) -> np.ndarray:
    """3×K: log σ at the knots, NaN at brightnesses that the photo does not have."""
    knots = np.array(KNOTS)
    reach = knots[1] / 2
    rows = []
    for point, level in zip(photo.brightness, photo.sigma, strict=True):
        row = np.log(np.maximum(np.interp(knots, point, level), _FAINT))
        row[(knots < point[0] - reach) | (knots > point[-1] + reach)] = np.nan
        rows.append(row)
    return np.stack(rows)


def _median(values: np.ndarray) -> np.ndarray:
    """Median over the first axis of what is not NaN, NaN where nothing is left."""
    known = ~np.isnan(values).all(0)
    result = np.full(known.shape, np.nan)
    result[known] = np.nanmedian(values[:, known], 0)
    return result


def _filled(logarithm: np.ndarray) -> np.ndarray:
    """σ at all knots: between and beyond the known ones by the nearest, 0 if too faint."""
    known = ~np.isnan(logarithm)
    knots = np.array(KNOTS)
    sigma = np.exp(np.interp(knots, knots[known], logarithm[known]))
    return np.where(sigma > 1.01 * _FAINT, sigma, 0)


def _range(photos: list[PhotoNoise], channel: int) -> tuple[float, float]:
    points = np.concatenate([photo.brightness[channel] for photo in photos])
    return float(points.min()), float(points.max())


def _tuples(values: Any) -> Any:
    """Nested tuples of floats of an array or nested lists."""
    array = np.asarray(values, np.float64)
    return tuple(array.tolist() if array.ndim == 1 else map(_tuples, array))


def _plain(value: Any) -> Any:
    """Nested lists, with floats of four digits after the point."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
