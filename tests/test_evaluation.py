"""Scores agree with scikit-image, pair by relative path, and need a clean counterpart."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from skimage import data, io
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from noiseda import evaluation
from noiseda.errors import DataError, NoiseDAError, OptionError
from noiseda.evaluation import PROTOCOLS, Scores, evaluate, evaluate_folders, pair


def reference(restored: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of two H×W×3 uint8 images by scikit-image."""
    structure: Any = structural_similarity(
        clean,
        restored,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1,
        data_range=255,
    )
    return float(peak_signal_noise_ratio(clean, restored, data_range=255)), float(structure)


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + draws, 0, 255).round().astype(np.uint8)


def tensor(*images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(folder: Path, **named: np.ndarray) -> Path:
    """Write images under `folder`; `a__b_png` becomes a/b.png."""
    for key, image in named.items():
        stem, suffix = key.replace("__", "/").rsplit("_", 1)
        path = folder / f"{stem}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        io.imsave(path, image, check_contrast=False)
    return folder


SMALL = random_image(12, 14)


@pytest.mark.parametrize("photo", ["astronaut", "chelsea", "coffee"])
def test_photos_score_as_scikit_image_says(photo: str) -> None:
    # taller than one strip of the SSIM, so that strips must join without a seam
    clean = getattr(data, photo)()[40:240, 60:400]
    restored = noisy(clean, 4)
    scores = evaluate([("a", restored, clean)])
    psnr, ssim = reference(restored, clean)
    assert scores.images[0]["psnr"] == pytest.approx(psnr, abs=1e-6)
    assert scores.images[0]["ssim"] == pytest.approx(ssim, abs=1e-6)


@settings(deadline=None, max_examples=25)
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


def test_pairs_by_relative_path_whatever_the_suffix(tmp_path: Path) -> None:
    # the same file names in two subfolders, and an order by position that would be wrong
    restored = save(tmp_path / "r", b__1_jpg=SMALL, a__1_png=SMALL, a__10_png=SMALL, c_v2_png=SMALL)
    clean = save(tmp_path / "c", a__1_png=SMALL, a__10_bmp=SMALL, b__1_png=SMALL, c_v2_png=SMALL)
    assert [(name, r.name, c.name) for name, r, c in pair(restored, clean)] == [
        ("a/1.png", "1.png", "1.png"),
        ("a/10.bmp", "10.png", "10.bmp"),
        ("b/1.png", "1.jpg", "1.png"),
        ("c_v2.png", "c_v2.png", "c_v2.png"),
    ]
    for name, ours, theirs in pair(restored, clean):
        assert ours.parent.relative_to(restored) == theirs.parent.relative_to(clean)
        assert theirs == clean / name


def test_same_names_in_two_subfolders_keep_their_own_scores(tmp_path: Path) -> None:
    other = random_image(12, 14, seed=1)
    clean = save(tmp_path / "c", a__1_png=SMALL, b__1_png=other)
    restored = save(tmp_path / "r", a__1_png=noisy(SMALL, 9), b__1_png=noisy(other, 30))
    scores = evaluate_folders(restored, clean)
    assert [image["name"] for image in scores.images] == ["a/1.png", "b/1.png"]
    for image, photo, sigma in zip(scores.images, (SMALL, other), (9, 30), strict=True):
        psnr, ssim = reference(noisy(photo, sigma), photo)
        assert image["psnr"] == pytest.approx(psnr, abs=1e-6)
        assert image["ssim"] == pytest.approx(ssim, abs=1e-6)
    for key in ("psnr", "ssim"):
        assert scores.mean[key] == pytest.approx(sum(i[key] for i in scores.images) / 2)


def test_exactly_the_same_path_comes_before_the_same_stem(tmp_path: Path) -> None:
    restored = save(tmp_path / "r", a_png=SMALL, a_jpg=SMALL)
    clean = save(tmp_path / "c", a_png=SMALL, a_jpg=SMALL)
    assert [(n, r.name, c.name) for n, r, c in pair(restored, clean)] == [
        ("a.jpg", "a.jpg", "a.jpg"),
        ("a.png", "a.png", "a.png"),
    ]


def test_two_files_of_one_stem_are_ambiguous(tmp_path: Path) -> None:
    restored = save(tmp_path / "r", a_png=SMALL, a_jpg=SMALL)
    clean = save(tmp_path / "c", a_bmp=SMALL)
    for one, two in ((restored, clean), (clean, restored)):
        with pytest.raises(DataError, match=r"a\.jpg and a\.png"):
            pair(one, two)


def test_no_score_without_a_clean_counterpart(tmp_path: Path) -> None:
    named = {f"x{i}_png": SMALL for i in range(7)}
    restored = save(tmp_path / "r", both_png=SMALL, **named)
    clean = save(tmp_path / "c", both_png=SMALL, other__x0_png=SMALL)
    with pytest.raises(DataError) as caught:
        evaluate_folders(restored, clean)
    message = str(caught.value)
    assert "\n" not in message
    assert "7 images of" in message
    assert "(x0.png, x1.png, x2.png, x3.png, x4.png, …)" in message
    assert "1 image of" in message
    assert "(other/x0.png)" in message
    (tmp_path / "empty").mkdir()
    for missing in ("empty", "nowhere"):
        with pytest.raises(DataError, match=missing):
            evaluate_folders(restored, tmp_path / missing)
    with pytest.raises(DataError, match="no images"):
        evaluate([])


def test_all_different_sizes_are_reported_at_once(tmp_path: Path) -> None:
    clean = save(tmp_path / "c", a_png=SMALL, b_png=SMALL, d_png=SMALL)
    restored = save(tmp_path / "r", a_png=SMALL[:-1], b_png=SMALL, d_png=SMALL[:, 1:])
    in_memory = [("a", SMALL[:-1], SMALL), ("b", SMALL, SMALL), ("d", SMALL[:, 1:], SMALL)]
    for run in (lambda: evaluate_folders(restored, clean), lambda: evaluate(in_memory)):
        with pytest.raises(DataError) as caught:
            run()
        message = str(caught.value)
        assert "2 images" in message
        assert "\n" not in message
        assert "14×11 but clean 14×12" in message
        assert "13×12 but clean 14×12" in message


def test_a_model_can_be_scored_in_memory_without_rounding_it_first() -> None:
    clean, seen = tensor(SMALL), []
    restored = clean + 0.4 / 255
    pairs = (item for item in [("a", restored[0], SMALL), ("b", restored, clean[0])])
    scores = evaluate(pairs, progress=lambda done, total: seen.append((done, total)), total=2)
    assert [image["psnr"] for image in scores.images] == [math.inf, math.inf]
    assert seen == [(1, 2), (2, 2)]
    for wrong in (SMALL.astype(np.float32) / 255, SMALL[..., :1], tensor(SMALL, SMALL)):
        with pytest.raises(ValueError, match="photo7: "):
            evaluate([("photo7", wrong, SMALL)])


SCORES = Scores(
    "rgb",
    [
        {"name": "a/[b] x.png", "psnr": 30.123456789, "ssim": 0.912345678},
        {"name": "a,2.png", "psnr": math.inf, "ssim": 1.0},
        {"name": "tiny.png", "psnr": 20.0, "ssim": math.nan},
    ],
)


def test_json_is_strict_and_complete(tmp_path: Path) -> None:
    evaluation.write_json(SCORES, tmp_path / "s.json")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    read = json.loads((tmp_path / "s.json").read_text("utf-8"), parse_constant=refuse)
    assert read == evaluation.to_json(SCORES)
    assert read["protocol"] == "rgb"
    assert read["images"][0] == SCORES.images[0]
    assert read["images"][1] == {"name": "a,2.png", "psnr": None, "ssim": 1.0}
    assert read["images"][2] == {"name": "tiny.png", "psnr": 20.0, "ssim": None}
    assert read["mean"] == {"psnr": None, "ssim": None}


def test_csv_has_a_row_an_image_and_the_mean_last(tmp_path: Path) -> None:
    scores = Scores("rgb", SCORES.images[:2])
    evaluation.write_csv(scores, tmp_path / "s.csv")
    with open(tmp_path / "s.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "psnr", "ssim", "protocol"]
    assert [row["name"] for row in rows] == ["a/[b] x.png", "a,2.png", "mean"]
    assert {row["protocol"] for row in rows} == {"rgb"}
    assert [float(row["psnr"]) for row in rows] == [30.123456789, math.inf, math.inf]
    assert float(rows[-1]["ssim"]) == pytest.approx((0.912345678 + 1) / 2)


@pytest.mark.parametrize("write", [evaluation.write_json, evaluation.write_csv])
def test_reports_are_not_overwritten_by_accident_nor_half_written(write, tmp_path: Path) -> None:
    path = tmp_path / "s.out"
    path.write_text("precious")
    with pytest.raises(NoiseDAError, match=r"s\.out exists.*--overwrite"):
        write(SCORES, path)
    assert path.read_text() == "precious"
    write(SCORES, path, overwrite=True)
    assert "tiny.png" in path.read_text("utf-8")
    for bad in (tmp_path / "none" / "s.out", path / "s.out", tmp_path):
        with pytest.raises(NoiseDAError) as caught:
            write(SCORES, bad, overwrite=True)
        assert "\n" not in str(caught.value)
        assert str(bad) in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["s.out"]


def test_table_names_the_protocol_and_counts_the_images() -> None:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(evaluation.table(SCORES, limit=2))
    text = capture.get()
    for part in ("PSNR [rgb] dB", "SSIM [rgb]", "a/[b] x.png", "30.12", "0.9123", "inf", "1 more"):
        assert part in text
    assert "mean of 3 images" in text
    assert "tiny.png" not in text
    with console.capture() as capture:
        console.print(evaluation.table(SCORES))
    assert "tiny.png" in capture.get()
    assert "more" not in capture.get()


def test_protocols_can_be_listed_without_loading_torch() -> None:
    code = "import noiseda.evaluation, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
