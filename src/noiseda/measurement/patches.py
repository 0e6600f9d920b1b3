"""Small patches of a photo: how flat they are, and their fine residual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SIDE = 16
"""Height and width of a patch, in pixels."""

REACH = 4
"""Largest distance between two pixels whose correlation is measured, in pixels."""

_AREA = SIDE * SIDE
_PLANE, _COARSE = 3, 14
_MOST = 4096

FREEDOM = _AREA - _PLANE - _COARSE
"""Degrees of freedom of the fine residual of a patch."""


@dataclass(frozen=True, eq=False)
class Patches:
    """The N patches of a photo, in units of 1/255.

    Attributes:
        pixels: N×3×256 float32.
        brightness: N×3, the mean.
        coarse: N×3, the energy of variation with wavelengths over 8 pixels, but for a plane.
            Texture and edges have more of it than noise.
        variance: N×3, of the fine residual: what is left without the plane that fits best and
            without the coarse variation (256 − 17 degrees of freedom).
        clipped: N×3, the share of pixels that are black or white.
    """

    pixels: np.ndarray
    brightness: np.ndarray
    coarse: np.ndarray
    variance: np.ndarray
    clipped: np.ndarray

    def residual(self, chosen: np.ndarray, channel: int) -> np.ndarray:
        """n×256: the fine residual of patches `chosen` of one channel."""
        centred = self.pixels[chosen, channel] - self.brightness[chosen, channel, None]
        return centred - (centred @ _smooth()) @ _smooth().T


def cut(photo: np.ndarray) -> Patches:
    """At most about 4096 patches of a photo, on a regular grid.

    Args:
        photo: H×W×3, H and W at least `SIDE`; uint8, uint16 or float in [0, 1].
    """
    peak = float(np.iinfo(photo.dtype).max) if photo.dtype.kind == "u" else 1.0
    height, width = (size - SIDE for size in photo.shape[:2])
    step = SIDE // 2
    while (height // step + 1) * (width // step + 1) > _MOST:
        step += 1
    windows = sliding_window_view(photo, (SIDE, SIDE), axis=(0, 1))[::step, ::step]
    raw = windows.reshape(-1, 3, _AREA)
    # equality, not order: a float image that leaves [0, 1] has not been clipped there
    clipped = ((raw == 0) | (raw == peak)).mean(-1)
    pixels = raw.astype(np.float32)
    pixels *= np.float32(255 / peak)
    brightness = pixels.mean(-1)
    # about the mean, so that float32 does not lose a faint noise on a bright patch
    centred = pixels - brightness[..., None]
    energy = np.einsum("ncp,ncp->nc", centred, centred)
    smooth = (centred @ _smooth()) ** 2
    variance = np.maximum(energy - smooth.sum(-1), 0) / FREEDOM
    return Patches(pixels, brightness, smooth[..., _PLANE:].sum(-1), variance, clipped)


def covariance(residuals: Sequence[np.ndarray]) -> np.ndarray:
    """Mean product of residuals at all distances up to `REACH`.

    Args:
        residuals: of C colours, each n×256, see `Patches.residual`.

    Returns:
        C×C×9×9; at c, d, row 4 + dy and column 4 + dx the product of a pixel of c and the pixel of
        d that is (dy, dx) away. Biased, see `unbiased`.
    """
    # twice the size, so that the periodic products do not wrap around
    sizes = (2 * SIDE, 2 * SIDE)
    spectra = [np.fft.rfft2(one.reshape(-1, SIDE, SIDE), sizes) for one in residuals]
    products = [[np.einsum("nij,nij->ij", a.conj(), b) / len(a) for b in spectra] for a in spectra]
    summed = np.fft.irfft2(products, sizes)
    lags = np.arange(-REACH, REACH + 1)
    pairs = SIDE - np.abs(lags)
    return summed[..., lags[:, None], lags] / np.outer(pairs, pairs)


def unbiased(measured: np.ndarray) -> np.ndarray:
    """The covariance of the noise from that of its fine residual, both …×9×9; see `covariance`.

    With M the projection that removes plane and coarse variation, noise of covariance C leaves a
    residual of covariance M·C·M, within a colour as between two. This is linear in the
    covariance at all distances and can be inverted, noise being taken to be uncorrelated beyond
    `REACH` (condition number 35: the coarse part of the noise is concluded from the fine part). So
    patches can be chosen by their coarse variation without choosing among the noise: the fine part
    of the noise does not know of it.
    """
    lags = (2 * REACH + 1) ** 2
    return np.linalg.solve(_response(), measured.reshape(-1, lags).T).T.reshape(measured.shape)


@cache
def _smooth() -> np.ndarray:
    """256×17, orthonormal: constant, slopes, then cosines of up to 4 half waves a patch."""
    place = (np.arange(SIDE) + 0.5) / SIDE
    ramp = place - 0.5
    slopes = [np.ones((SIDE, SIDE)), np.tile(ramp, (SIDE, 1)), np.tile(ramp[:, None], SIDE)]
    waves = np.cos(np.pi * np.arange(4)[:, None] * place)
    pairs = [(v, u) for v in range(4) for u in range(4) if 0 < np.hypot(v, u) < 4]
    cosines = [np.outer(waves[v], waves[u]) for v, u in pairs]
    # in this order, so that the cosines lose their share of the plane
    basis, _ = np.linalg.qr(np.stack([one.ravel() for one in slopes + cosines], 1))
    return basis.astype(np.float32)


@cache
def _response() -> np.ndarray:
    """81×81: the measured covariance that each lag of the true one causes."""
    row, column = np.divmod(np.arange(_AREA), SIDE)
    down, across = row[:, None] - row, column[:, None] - column
    width = 2 * REACH + 1
    near = (np.abs(down) <= REACH) & (np.abs(across) <= REACH)
    lag = np.where(near, (down + REACH) * width + across + REACH, width**2)
    count = np.bincount(lag.ravel())[:-1]
    smooth = _smooth().astype(np.float64)
    columns = []
    for one in range(width**2):
        covariance = (lag == one).astype(np.float64)
        covariance -= smooth @ (smooth.T @ covariance)
        covariance -= (covariance @ smooth) @ smooth.T
        columns.append(np.bincount(lag.ravel(), covariance.ravel())[:-1] / count)
    return np.stack(columns, 1)
