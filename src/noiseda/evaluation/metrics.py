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
# pixels of one strip: the convolution's work space grows with it, about 1 kB a pixel
_STRIP_PIXELS = 2**15
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
    from torchmetrics.functional.regression import mean_squared_error

    _check(restored, clean)
    # torchmetrics' own PSNR holds log(10) in float32, an error of 1e-6 dB and more
    mse = [
        mean_squared_error(a.flatten(), b.flatten())
        for a, b in zip(_float64(restored), _float64(clean), strict=True)
    ]
    return -10 * _stack(mse, restored).log10()


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
    _check(restored, clean)
    height, width = restored.shape[-2:]
    if min(height, width) < SSIM_WINDOW:
        return _float64(restored.new_full((len(restored),), float("nan")))
    each = [_ssim_one(a, b) for a, b in zip(restored, clean, strict=True)]
    return _stack(each, restored)


def _ssim_one(restored: Tensor, clean: Tensor) -> Tensor:
    """SSIM of one C×H×W image, in strips of rows, so that memory does not grow with the image."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    # one channel an item: a plain convolution is faster than a grouped one
    a, b = _float64(restored).unsqueeze(1), _float64(clean).unsqueeze(1)
    channels, _, height, width = a.shape
    half = SSIM_WINDOW // 2
    interior = height - 2 * half
    rows = max(_STRIP_ROWS, _STRIP_PIXELS // width)
    total = a.new_zeros(())
    for top in range(0, interior, rows):
        strip = slice(top, min(top + rows, interior) + 2 * half)
        _, full = structural_similarity_index_measure(
            a[:, :, strip],
            b[:, :, strip],
            sigma=_SSIM_SIGMA,
            kernel_size=SSIM_WINDOW,
            data_range=1.0,
            k1=0.01,
            k2=0.03,
            reduction="none",
            return_full_image=True,
        )
        # torchmetrics reflects at the borders and counts them; Wang et al. do not
        total = total + full[..., half:-half, half:-half].sum()
    return total / (channels * interior * (width - 2 * half))


def _check(restored: Tensor, clean: Tensor) -> None:
    if restored.ndim != 4 or restored.shape != clean.shape:
        shapes = f"{tuple(restored.shape)} and {tuple(clean.shape)}"
        raise ValueError(f"expected two B×C×H×W tensors of the same shape, got {shapes}")


def _float64(x: Tensor) -> Tensor:
    # Apple's MPS has no float64
    return (x.cpu() if x.device.type == "mps" else x).double()


def _stack(values: list[Tensor], like: Tensor) -> Tensor:
    """One value an image as a vector; an empty one for an empty batch."""
    import torch

    return torch.stack(values) if values else _float64(like.new_zeros(0))
