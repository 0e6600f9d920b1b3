"""PSNR and SSIM of every image of a batch, and rounding to what an 8-bit file can hold.

Everything is computed in float64. In float32 the variances inside SSIM cancel and the score is off
by about 5e-6, which shows in published fourth digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2
# pixels of one strip, so that memory does not grow with the image
_STRIP_PIXELS = 2**18
_STRIP_ROWS = 32


def to_8_bit(x: Tensor) -> Tensor:
    """The values that remain after saving to 8 bits: clamped to [0, 1], then rounded to n/255.

    Args:
        x: any shape, floating point; values outside [0, 1] saturate, they do not wrap. NaN stays.

    Returns:
        The same shape in float64, because n/255 in float32 is already too coarse to give PSNR to
        six decimals.
    """
    return _float64(x).clamp(0, 1).mul(255).round().div(255)


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


def ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """Structural similarity of each image (Wang et al. 2004, eq. 13), mean over the channels.

    Gaussian window 11×11 with σ 1.5, K1 0.01, K2 0.03, population covariance, data range 1; the
    mean is over the interior, where the window lies wholly inside the image.

    Args:
        restored: B×C×H×W in [0, 1]; taken as it is, neither clamped nor rounded.
        clean: the same shape.

    Returns:
        B values in [−1, 1], float64: 1 for identical images. All NaN if a side is below 11 pixels,
        as no window fits then.

    Raises:
        ValueError: not two batches of the same shape.
    """
    import torch

    _check(restored, clean)
    height, width = restored.shape[-2:]
    if min(height, width) < SSIM_WINDOW:
        return _float64(restored.new_full((len(restored),), float("nan")))
    each = [_ssim_one(a, b) for a, b in zip(restored, clean, strict=True)]
    return torch.stack(each) if each else _float64(restored.new_zeros(0))


def _ssim_one(restored: Tensor, clean: Tensor) -> Tensor:
    """SSIM of one C×H×W image, in strips of rows."""
    a, b = _float64(restored), _float64(clean)
    channels, height, width = a.shape
    margin = SSIM_WINDOW - 1
    rows = max(_STRIP_ROWS, _STRIP_PIXELS // width)
    total = a.new_zeros(())
    for top in range(0, height - margin, rows):
        strip = slice(top, top + rows + margin)
        total = total + _ssim_map(a[:, strip], b[:, strip]).sum()
    return total / (channels * (height - margin) * (width - margin))


def _ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM of each position of the window inside two C×H×W images. torchmetrics' own is ten times
    slower: it filters with the two-dimensional window instead of twice with its row."""
    import torch
    from torch.nn.functional import conv2d

    offset = torch.arange(SSIM_WINDOW, dtype=a.dtype, device=a.device) - SSIM_WINDOW // 2
    weights = torch.exp(-offset.square() / (2 * _SSIM_SIGMA**2))
    row = (weights / weights.sum()).view(1, 1, 1, -1)
    moments = torch.cat([a, b, a * a, b * b, a * b]).unsqueeze(1)
    smooth = conv2d(conv2d(moments, row), row.transpose(2, 3)).squeeze(1)
    mean_a, mean_b, square_a, square_b, product = smooth.chunk(5)
    variance = (square_a - mean_a * mean_a) + (square_b - mean_b * mean_b)
    covariance = product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    return luminance * (2 * covariance + _C2) / (variance + _C2)


def _check(restored: Tensor, clean: Tensor) -> None:
    if restored.ndim != 4 or restored.shape != clean.shape:
        shapes = f"{tuple(restored.shape)} and {tuple(clean.shape)}"
        raise ValueError(f"expected two B×C×H×W tensors of the same shape, got {shapes}")


def _float64(x: Tensor) -> Tensor:
    # Apple's MPS has no float64
    return (x.cpu() if x.device.type == "mps" else x).double()
