"""Scores agree with scikit-image, and rounding and clamping come first."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from noiseda import evaluation
from noiseda.errors import DataError, OptionError
from noiseda.evaluation import PROTOCOLS, evaluate
from tests.evaluation.conftest import SMALL, noisy, random_image, reference, tensor


@pytest.mark.parametrize("photo", ["astronaut", "chelsea", "coffee"])
def test_photos_score_as_scikit_image_says(photo: str) -> None:
    # taller than one strip of the SSIM, so that strips must join without a seam
    clean = getattr(data, photo)()[40:240, 60:400]
    restored = noisy(clean, 4)
    scores = evaluate([("a", restored, clean)])
    psnr, ssim = reference(restored, clean)
    assert scores.images[0]["psnr"] == pytest.approx(psnr, abs=1e-6)
    assert scores.images[0]["ssim"] == pytest.approx(ssim, abs=1e-6)


@settings(max_examples=25)
@given(
    st.integers(11, 60),
    st.integers(11, 60),
    st.integers(1, 3),
    st.sampled_from([0.6, 3, 40, 400]),
    st.integers(0, 2**32 - 1),
)
def test_random_sizes_score_as_scikit_image_says(
    height: int, width: int, batch: int, sigma: float, seed: int
) -> None:
    clean = [random_image(height, width, seed + i) for i in range(batch)]
    restored = [noisy(image, sigma, seed + i) for i, image in enumerate(clean)]
    scores = PROTOCOLS["rgb"].score(tensor(*restored), tensor(*clean))
    for i in range(batch):
        psnr, ssim = reference(restored[i], clean[i])
        assert scores["psnr"][i].item() == pytest.approx(psnr, abs=1e-6)
        assert scores["ssim"][i].item() == pytest.approx(ssim, abs=1e-6)


def test_every_item_of_a_batch_is_scored_on_its_own() -> None:
    clean = [random_image(16, 20, i) for i in range(3)]
    restored = [clean[0], noisy(clean[1], 5), noisy(clean[2], 60)]
    together = PROTOCOLS["rgb"].score(tensor(*restored), tensor(*clean))
    assert together["psnr"].shape == together["ssim"].shape == (3,)
    for i in range(3):
        alone = PROTOCOLS["rgb"].score(tensor(restored[i]), tensor(clean[i]))
        assert alone["psnr"].item() == together["psnr"][i].item()
        assert alone["ssim"].item() == pytest.approx(together["ssim"][i].item(), abs=1e-12)
    assert together["psnr"][1] > together["psnr"][2] + 10


def test_strips_of_a_wide_image_cover_every_row() -> None:
    # wider than the strip's pixel budget allows, so that strips have their least height
    clean = random_image(75, 1200)
    restored = clean.copy()
    restored[-12:] = 0
    score = PROTOCOLS["rgb"].score(tensor(restored), tensor(clean))["ssim"].item()
    assert score == pytest.approx(reference(restored, clean)[1], abs=1e-6)


def test_identical_images() -> None:
    scores = PROTOCOLS["rgb"].score(tensor(SMALL), tensor(SMALL))
    assert scores["psnr"].tolist() == [math.inf]
    assert scores["ssim"].item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (1, 1)])
def test_below_the_window_there_is_psnr_but_no_ssim(size: tuple[int, int]) -> None:
    clean = np.full((*size, 3), 100, np.uint8)
    scores = PROTOCOLS["rgb"].score(tensor(clean + np.uint8(1)), tensor(clean))
    assert scores["psnr"].item() == pytest.approx(20 * math.log10(255), abs=1e-9)
    assert scores["ssim"].isnan().tolist() == [True]


def test_eight_bits_saturate_and_round() -> None:
    levels = torch.tensor([-2.0, -0.004, -1e-7, 0.0, 99.6 / 255, 99.4 / 255, 1.0, 1.004, 3.0])
    rounded = evaluation.to_8_bit(levels) * 255
    assert rounded.round().tolist() == [0, 0, 0, 0, 100, 99, 255, 255, 255]
    # the 256 levels themselves are fixed points, exactly n/255 in float64
    all_levels = torch.arange(256)
    assert torch.equal(evaluation.to_8_bit(all_levels.float() / 255), all_levels.double() / 255)


def test_slightly_negative_pixels_count_as_black() -> None:
    clean = torch.zeros(1, 3, 16, 16)
    assert PROTOCOLS["rgb"].score(clean - 0.01, clean)["psnr"].tolist() == [math.inf]
    assert PROTOCOLS["rgb"].score(clean + 1.02, clean + 1)["psnr"].tolist() == [math.inf]


def test_rounding_comes_before_the_score_and_does_not_truncate() -> None:
    clean = torch.full((1, 3, 16, 16), 100 / 255)
    # truncation would make 99 of this
    assert PROTOCOLS["rgb"].score(clean - 0.4 / 255, clean)["psnr"].tolist() == [math.inf]
    off_by_one = PROTOCOLS["rgb"].score(clean - 0.6 / 255, clean)["psnr"].item()
    assert off_by_one == pytest.approx(20 * math.log10(255), abs=1e-9)


def test_a_network_that_yields_nan_gets_no_score() -> None:
    clean = tensor(SMALL, SMALL)
    restored = clean.clone()
    restored[1, 0, 3, 3] = math.nan
    scores = PROTOCOLS["rgb"].score(restored, clean)
    assert scores["psnr"].isnan().tolist() == scores["ssim"].isnan().tolist() == [False, True]


def test_sizes_are_not_broadcast() -> None:
    clean = tensor(SMALL)
    with pytest.raises(DataError, match=r"14×11 .* 14×12"):
        PROTOCOLS["rgb"].score(clean[:, :, :-1], clean)
    with pytest.raises(DataError):
        PROTOCOLS["rgb"].score(clean[:, :, :1], clean)
    with pytest.raises(ValueError, match="2 restored images but 1"):
        PROTOCOLS["rgb"].score(tensor(SMALL, SMALL), clean)
    with pytest.raises(ValueError, match="floating-point"):
        PROTOCOLS["rgb"].score((clean * 255).byte(), clean)


def test_protocols_describe_themselves() -> None:
    for name, known in PROTOCOLS.items():
        assert known.name == name
        assert known.description
        values = known.score(tensor(noisy(SMALL, 20)), tensor(SMALL))
        assert values.keys() == known.metrics.keys() >= {"psnr", "ssim"}
        better = known.score(tensor(noisy(SMALL, 2)), tensor(SMALL))
        for key, metric in known.metrics.items():
            assert metric.low <= values[key].item() <= metric.high
            assert (better[key] > values[key]).item() is metric.higher_is_better
    with pytest.raises(OptionError, match="'rbg'; did you mean 'rgb'"):
        evaluation.protocol("rbg")


def test_protocols_can_be_listed_without_loading_torch() -> None:
    code = "import noiseda.evaluation, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
