"""Images pair by relative path, and no score comes without a clean counterpart."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from noiseda.errors import DataError
from noiseda.evaluation import evaluate, evaluate_folders, pair
from tests.evaluation.conftest import SMALL, noisy, random_image, reference, save, tensor


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
