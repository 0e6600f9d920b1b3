"""Classical denoisers, to compare networks with: BM3D and non-local means, image in, image out.

They suppose white Gaussian noise and need to know how strong it is; if they are not told, they
estimate it from the image itself (see `estimate_noise`). They come with the extra "classical"; the
package `bm3d` in it is free for non-commercial use only, which its licence says.

An image is a numpy H×W (gray) or H×W×3 (RGB) array, `uint8`, `uint16` or floating point in [0, 1];
the result has its shape and type, clamped to its range.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from noiseda.errors import OptionError

# the second does the first's wavelet transform
_ESTIMATE = ("skimage.restoration", "pywt")
# distance of pixels whose noise is taken to be independent
_APART = 3
# below this side BM3D's library, whose blocks are 8×8, ends the process
_BM3D_LEAST = 16
# luminance, by which it finds similar blocks, and two differences of colour, from RGB
_OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1 / 2, 0, -1 / 2], [1 / 4, -1 / 2, 1 / 4]])


def estimate_noise(image: np.ndarray) -> float:
    """Standard deviation of white Gaussian noise, in units of the image's whole range, mean of the
    channels: from the median of the finest diagonal wavelet coefficients (Donoho & Johnstone
    1994), as scikit-image computes it, mean of the nine sub-images of every third pixel. In the
    whole image, noise that is alike in neighbouring pixels, as that of photos after demosaicking
    and compression, would pass for a fraction of itself; in sub-images, fine detail adds to weak
    noise. Images with a side below 96 are taken apart less, so that sides of 32 remain;
    those with a side below 8 give 0.

    Raises:
        OptionError: not an image of the kinds above, or the extra "classical" is not installed.
    """
    return _estimate(_to_float(image))


def nl_means(image: np.ndarray, sigma: float | None = None) -> np.ndarray:
    """Non-local means (Buades et al. 2005) in scikit-image's fast form: patches of 5×5 in a window
    of 13×13 pixels, cut-off 0.6·σ.

    Args:
        image: see the module.
        sigma: standard deviation of the noise in units of the image's whole range; estimated if
            None. The image comes back as it is if it is 0.

    Raises:
        OptionError: not an image of the kinds above, a negative sigma, or the extra "classical" is
            not installed.
    """

    def denoise(noisy: np.ndarray, level: float) -> np.ndarray:
        restoration = _library("skimage.restoration")
        return restoration.denoise_nl_means(
            noisy,
            patch_size=5,
            patch_distance=6,
            h=0.6 * level,
            sigma=level,
            fast_mode=True,
            channel_axis=-1,
        )

    return _denoised(image, sigma, denoise)


def bm3d(image: np.ndarray, sigma: float | None = None) -> np.ndarray:
    """BM3D (Dabov et al. 2007), colour images in its opponent space, from the authors' package.

    Args:
        image, sigma: see `nl_means`.

    Raises:
        OptionError: not an image of the kinds above, a negative sigma, or the extra "classical" is
            not installed.
    """

    def denoise(noisy: np.ndarray, level: float) -> np.ndarray:
        library = _library("bm3d")
        height, width, channels = noisy.shape
        missing = [(0, max(_BM3D_LEAST - size, 0)) for size in (height, width)]
        padded = np.pad(noisy, [*missing, (0, 0)], mode="symmetric")
        if channels == 1:
            return library.bm3d(padded[:, :, 0], level)[:height, :width, None]
        # not the package's bm3d_rgb, which divides by each channel's range: 0 in a gray photo
        levels = level * np.linalg.norm(_OPPONENT, axis=1)
        clean = library.bm3d(padded @ _OPPONENT.T, levels)[:height, :width]
        return clean @ np.linalg.inv(_OPPONENT).T

    return _denoised(image, sigma, denoise)


METHODS: dict[str, Callable[..., np.ndarray]] = {"bm3d": bm3d, "nlm": nl_means}
_LIBRARIES = {"bm3d": ("bm3d", *_ESTIMATE), "nlm": _ESTIMATE}


def require(name: str) -> None:
    """Refuse a method whose libraries are missing, before it is needed.

    Args:
        name: of `METHODS`.

    Raises:
        OptionError: the extra "classical" is not installed.
    """
    for library in _LIBRARIES[name]:
        _library(library)


def _denoised(
    image: np.ndarray, sigma: float | None, denoise: Callable[[np.ndarray, float], np.ndarray]
) -> np.ndarray:
    noisy = _to_float(image)
    level = _estimate(noisy) if sigma is None else float(sigma)
    if not 0 <= level < np.inf:
        raise OptionError(f"sigma must be 0 or more and finite, not {sigma}")
    if not level:
        return image.copy()
    clean = denoise(noisy, level).clip(0, 1).reshape(image.shape)
    if np.issubdtype(image.dtype, np.floating):
        return clean.astype(image.dtype)
    return np.rint(clean * np.iinfo(image.dtype).max).astype(image.dtype)


def _estimate(noisy: np.ndarray) -> float:
    side = min(noisy.shape[:2])
    if side < 8:
        return 0.0
    step = min(_APART, max(side // 32, 1))
    restoration, _ = map(_library, _ESTIMATE)
    levels = [
        restoration.estimate_sigma(
            noisy[row::step, column::step], channel_axis=-1, average_sigmas=True
        )
        for row in range(step)
        for column in range(step)
    ]
    return float(np.mean(levels))


def _to_float(image: Any) -> np.ndarray:
    """H×W×1 or H×W×3 float64, the whole range of an integer type as [0, 1]."""
    if not isinstance(image, np.ndarray):
        raise OptionError(f"expected a numpy image, got {type(image).__name__}")
    floating = np.issubdtype(image.dtype, np.floating)
    if not floating and image.dtype not in (np.uint8, np.uint16):
        raise OptionError(f"expected uint8, uint16 or floating point in [0, 1], got {image.dtype}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or not image.size:
        raise OptionError(f"expected H×W or H×W×3 with at least one pixel, got {image.shape}")
    values = image.astype(np.float64) / (1 if floating else np.iinfo(image.dtype).max)
    if not np.isfinite(values).all():
        raise OptionError("the image has values that are not finite")
    return values if image.ndim == 3 else values[:, :, None]


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise OptionError(
            f"classical denoising needs {error.name or name}, which is missing; "
            "install it with: pip install 'noiseda[classical]'"
        ) from None
