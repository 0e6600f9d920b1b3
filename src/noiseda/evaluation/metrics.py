"""PSNR and SSIM of every image of a batch, and what is done to images before.

Everything is computed in float64. In float32 the variances inside SSIM cancel and the score is off
by about 5e-6, which shows in published fourth digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_C1, _C2 = 0.01**2, 0.03**2
# ITU-R BT.601 luma of R, G, B in [0, 1] in studio swing: 16 for black, 235 for white
_LUMA, _BLACK = (65.481, 128.553, 24.966), 16.0
# pixels of one strip, so that memory does not grow with the image
_STRIP_PIXELS = 2**18
_STRIP_ROWS = 32


@dataclass(frozen=True)
class Window:
    """Where SSIM takes its local means, variances and covariance; published scores differ in it.

    Args:
        size: height and width, odd.
        sigma: standard deviation of a Gaussian window in pixels; None for equal weights.
        sample: whether (co)variances are the sample's (divided by n − 1), not the population's.
        volume: take the image as a volume H×W×C: the window also reaches over the channels, and
            values outside are those at the border, so that every pixel counts; else every channel
            stands alone, and only positions count where the window lies wholly inside.
    """

    size: int
    sigma: float | None = None
    sample: bool = False
    volume: bool = False

    def weights(self, like: Tensor) -> Tensor:
        """The window's `size` weights along one side."""
        import torch

        offset = torch.arange(self.size, dtype=like.dtype, device=like.device) - self.size // 2
        if self.sigma is None:
            return torch.ones_like(offset) / self.size
        weights = torch.exp(-offset.square() / (2 * self.sigma**2))
        return weights / weights.sum()


GAUSSIAN = Window(11, sigma=1.5)
"""Wang et al. 2004; scikit-image with Gaussian weights and population covariance."""
UNIFORM = Window(7, sample=True)
"""scikit-image's default."""
VOLUME = Window(11, sigma=1.5, volume=True)
"""MATLAB's default for an H×W×3 array, which it takes for a volume ("SSS")."""


def to_8_bit(x: Tensor) -> Tensor:
    """The values that remain after saving to 8 bits: clamped to [0, 1], then rounded to n/255.

    Args:
        x: any shape, floating point; values outside [0, 1] saturate, they do not wrap. NaN stays.

    Returns:
        The same shape in float64, because n/255 in float32 is already too coarse to give PSNR to
        six decimals.
    """
    return _float64(x).clamp(0, 1).mul(255).round().div(255)


def to_luma(x: Tensor) -> Tensor:
    """Y of the image as 8 bits hold it: ITU-R BT.601, studio swing, divided by 255.

    Y = (16 + 65.481 R + 128.553 G + 24.966 B) / 255 with R, G, B in [0, 1]; Y itself is not
    rounded.

    Args:
        x: B×3×H×W, RGB in that order; see `to_8_bit`.

    Returns:
        B×1×H×W in [16/255, 235/255], float64.
    """
    rgb = to_8_bit(x)
    weights = rgb.new_tensor(_LUMA).view(1, 3, 1, 1)
    return ((rgb * weights).sum(1, keepdim=True) + _BLACK) / 255


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, 10 log10(1 / MSE), over all pixels and channels.

    Args:
        restored: B×C×H×W in [0, 1]; taken as it is, neither clamped nor rounded.
        clean: the same shape.

    Returns:
        B values in dB, float64: infinite for identical images, NaN where an image holds NaN.

    Raises:
        ValueError: not two batches of the same shape.
    """
    _check(restored, clean)
    error = _float64(restored) - _float64(clean)
    return -10 * error.square().flatten(1).mean(1).log10()


def ssim(restored: Tensor, clean: Tensor, window: Window = GAUSSIAN) -> Tensor:
    """Structural similarity of each image (Wang et al. 2004, eq. 13), mean over the channels.

    K1 0.01, K2 0.03, data range 1.

    Args:
        restored: B×C×H×W in [0, 1]; taken as it is, neither clamped nor rounded.
        clean: the same shape.
        window: see `Window`.

    Returns:
        B values in [−1, 1], float64: 1 for identical images. All NaN if no window fits into the
        image.

    Raises:
        ValueError: not two batches of the same shape.
    """
    import torch

    _check(restored, clean)
    if not window.volume and min(restored.shape[-2:]) < window.size:
        return _float64(restored.new_full((len(restored),), float("nan")))
    each = [_ssim_one(a, b, window) for a, b in zip(restored, clean, strict=True)]
    return torch.stack(each) if each else _float64(restored.new_zeros(0))


def _ssim_one(restored: Tensor, clean: Tensor, window: Window) -> Tensor:
    """SSIM of one C×H×W image, in strips of rows."""
    from torch.nn.functional import pad

    a, b = _float64(restored), _float64(clean)
    margin = window.size - 1
    if window.volume:
        sides = (margin // 2,) * 4
        a, b = pad(a, sides, mode="replicate"), pad(b, sides, mode="replicate")
    channels, height, width = a.shape
    rows = max(_STRIP_ROWS, _STRIP_PIXELS // width)
    total = a.new_zeros(())
    for top in range(0, height - margin, rows):
        strip = slice(top, top + rows + margin)
        total = total + _ssim_map(a[:, strip], b[:, strip], window).sum()
    return total / (channels * (height - margin) * (width - margin))


def _ssim_map(a: Tensor, b: Tensor, window: Window) -> Tensor:
    """SSIM of each position of the window inside two C×H×W images. torchmetrics' own is ten times
    slower: it filters with the two-dimensional window instead of twice with its row."""
    import torch
    from torch.nn.functional import conv2d

    weights = window.weights(a)
    row = weights.view(1, 1, 1, -1)
    moments = torch.stack([a, b, a * a, b * b, a * b])
    smooth = conv2d(conv2d(moments.flatten(0, 1).unsqueeze(1), row), row.transpose(2, 3))
    smooth = smooth.view(5, len(a), *smooth.shape[-2:])
    if window.volume:
        smooth = torch.einsum("oc,mchw->mohw", _over_channels(weights, len(a)), smooth)
    mean_a, mean_b, square_a, square_b, product = smooth
    count = window.size**2
    unbiased = count / (count - 1) if window.sample else 1.0
    variance = unbiased * ((square_a - mean_a * mean_a) + (square_b - mean_b * mean_b))
    covariance = unbiased * (product - mean_a * mean_b)
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    return luminance * (2 * covariance + _C2) / (variance + _C2)


def _over_channels(weights: Tensor, channels: int) -> Tensor:
    """The window along the channels as a matrix, first and last channel repeated outside."""
    import torch

    reach = len(weights) // 2
    matrix = weights.new_zeros(channels, channels)
    for channel in range(channels):
        seen = torch.arange(channel - reach, channel + reach + 1, device=weights.device)
        matrix[channel].index_add_(0, seen.clamp(0, channels - 1), weights)
    return matrix


def _check(restored: Tensor, clean: Tensor) -> None:
    if restored.ndim != 4 or restored.shape != clean.shape:
        shapes = f"{tuple(restored.shape)} and {tuple(clean.shape)}"
        raise ValueError(f"expected two B×C×H×W tensors of the same shape, got {shapes}")


def _float64(x: Tensor) -> Tensor:
    # Apple's MPS has no float64
    return (x.cpu() if x.device.type == "mps" else x).double()
