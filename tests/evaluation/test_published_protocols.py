"""The protocols of published tables agree with libraries that share no code with ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import color, data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from noiseda.evaluation import PROTOCOLS, evaluate
from tests.evaluation.conftest import noisy, random_image, tensor


def photos() -> list[tuple[np.ndarray, np.ndarray]]:
    """Fixed pairs (restored, clean) of different content, shape and quality."""
    pairs = []
    for number, name in enumerate(("astronaut", "chelsea", "coffee")):
        clean = getattr(data, name)()[60 : 120 + 9 * number, 80 : 170 - 11 * number]
        pairs.append((noisy(clean, 3 + 12 * number, number), clean))
    return pairs


def scored(protocol: str, restored: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    (found,) = evaluate([("a", restored, clean)], protocol).images
    return found["psnr"], found["ssim"]


@pytest.mark.parametrize("protocol", ["y", "spa"])
def test_luma(protocol: str) -> None:
    for restored, clean in photos():
        # scikit-image's conversion is BT.601 in studio swing, 16 to 235
        ours, theirs = (color.rgb2ycbcr(image)[..., 0] for image in (restored, clean))
        structure = structural_similarity(
            theirs,
            ours,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
        psnr = peak_signal_noise_ratio(theirs, ours, data_range=255)
        assert scored(protocol, restored, clean) == pytest.approx((psnr, structure), abs=1e-5)


def test_luma_weighs_red_green_and_blue_in_this_order() -> None:
    black = np.zeros((16, 16, 3), np.uint8)
    for channel, weight in enumerate((65.481, 128.553, 24.966)):
        one = black.copy()
        one[..., channel] = 255
        psnr = 20 * np.log10(255 / weight)
        assert scored("y", one, black)[0] == pytest.approx(psnr, abs=1e-9)


def test_realblur_j() -> None:
    for restored, clean in photos():
        # all of scikit-image's defaults, of 8-bit images
        psnr = peak_signal_noise_ratio(clean, restored)
        structure = structural_similarity(clean, restored, channel_axis=2)
        assert scored("realblur-j", restored, clean) == pytest.approx((psnr, structure), abs=1e-6)
        # and another window than "rgb"
        assert abs(scored("rgb", restored, clean)[1] - float(np.mean(structure))) > 5e-5


def test_realblur_j_does_not_register_the_images() -> None:
    _, clean = photos()[0]
    moved = np.roll(clean, 2, axis=1)
    assert scored("realblur-j", moved, clean)[0] == pytest.approx(
        peak_signal_noise_ratio(clean, moved), abs=1e-6
    )


def matlab(restored: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """MATLAB's psnr and ssim of H×W×3 arrays in [0, 1], of which it says that the second filters
    the volume with a Gaussian of radius 1.5, values at the border repeated outside."""
    a, b = restored / 255, clean / 255
    moments = (a, b, a * a, b * b, a * b)
    smooth = [gaussian_filter(moment, 1.5, mode="nearest", radius=5) for moment in moments]
    mean_a, mean_b, square_a, square_b, product = smooth
    upper = (2 * mean_a * mean_b + 0.01**2) * (2 * (product - mean_a * mean_b) + 0.03**2)
    spread = square_a - mean_a**2 + square_b - mean_b**2
    lower = (mean_a**2 + mean_b**2 + 0.01**2) * (spread + 0.03**2)
    return float(peak_signal_noise_ratio(b, a, data_range=1)), float((upper / lower).mean())


def test_sidd() -> None:
    for restored, clean in photos():
        expected = matlab(restored, clean)
        assert scored("sidd", restored, clean) == pytest.approx(expected, abs=1e-9)
        # the window over the channels tells it from "rgb"
        assert abs(scored("rgb", restored, clean)[1] - expected[1]) > 1e-3


def test_sidd_is_torchmetrics_ssim_of_a_volume() -> None:
    restored, clean = (image[:14, :18] for image in photos()[1])
    # with borders repeated; of what torchmetrics pads itself nothing reaches the middle
    ours, theirs = (
        torch.nn.functional.pad(
            torch.from_numpy(image / 255)[None, None], (5,) * 6, mode="replicate"
        )
        for image in (restored, clean)
    )
    _, each = structural_similarity_index_measure(
        ours, theirs, sigma=1.5, data_range=1.0, return_full_image=True
    )
    expected = float(each[0, 0, 5:-5, 5:-5, 5:-5].mean())
    assert scored("sidd", restored, clean)[1] == pytest.approx(expected, abs=1e-6)


def test_sidd_joins_its_strips_without_a_seam() -> None:
    clean = random_image(75, 1200)
    restored = noisy(clean, 30)
    assert scored("sidd", restored, clean) == pytest.approx(matlab(restored, clean), abs=1e-9)


def test_sidd_scores_what_is_written() -> None:
    clean = tensor(random_image(20, 22))
    # floats as a network gives them score as the 8-bit block that is submitted
    exact = clean + 0.4 / 255
    assert PROTOCOLS["sidd"].score(exact, clean)["psnr"].isinf().all()
    wild = clean * 3 - 1
    written = (wild.clamp(0, 1) * 255).round() / 255
    for name, value in PROTOCOLS["sidd"].score(wild, clean).items():
        assert value.item() == pytest.approx(
            PROTOCOLS["sidd"].score(written, clean)[name].item(), abs=1e-9
        )


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (10, 9)])
def test_sidd_needs_no_least_size(size: tuple[int, int]) -> None:
    clean = random_image(*size)
    restored = noisy(clean, 20)
    assert scored("sidd", restored, clean) == pytest.approx(matlab(restored, clean), abs=1e-6)
