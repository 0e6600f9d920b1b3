"""Folders of photos with what folders of photos have in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import pyvips

from noiseda import images
from noiseda.errors import DataError
from noiseda.measurement import hints, look, measure, survey
from noiseda.measurement.survey import evenly
from tests.measurement.conftest import DATA, as_photo, white


def scene(seed: int, height: int = 128, width: int = 160) -> np.ndarray:
    """A made-up scene of rectangles, in units of 1/255."""
    random = np.random.default_rng(seed)
    image = np.full((height, width, 3), 120.0)
    for _ in range(12):
        top, left = random.integers(0, (height, width))
        down, right = random.integers(8, 80, 2)
        image[top : top + down, left : left + right] = random.uniform(30, 220, 3)
    return image


def save(path: Path, values: np.ndarray, **options: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pyvips.Image.new_from_array(as_photo(values)).copy(interpretation="srgb")
    image.write_to_file(str(path), **options)


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    return pyvips.Image.new_from_array(as_photo(values)).gaussblur(sigma).numpy().astype(float)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six good photos."""
    for seed in range(6):
        save(tmp_path / f"{seed}.png", scene(seed) + 5 * white(seed, 128, 160))
    return tmp_path


def test_nothing_to_complain_of(folder: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = survey(folder, lambda done, total: steps.append((done, total)))
    assert (found.files, found.usable, found.looked_at) == (6, 6, 6)
    assert hints(found) == []
    assert found.megapixels == (0.02048,) * 3
    assert not found.unreadable + found.small + found.identical + found.similar + found.soft
    assert found.noise is not None
    assert found.noise.sigma == pytest.approx([5] * 3, rel=0.15)
    assert steps == [(done, 6) for done in range(1, 7)]
    assert survey(folder) == found
    photos = (images.read_rgb8(folder / f"{seed}.png") for seed in range(6))
    assert measure(photos) == found.noise


def test_everything_that_is_wrong_is_named(folder: Path) -> None:
    good = scene(0)
    shutil.copy(folder / "0.png", folder / "copy.png")
    save(folder / "sub" / "smaller.jpg", good[::2, ::2], Q=60)
    save(folder / "tiny.png", scene(20, 9, 12))
    save(folder / "soft.png", blurred(scene(21), 3))
    (folder / "notes.txt").write_text("no image")
    (folder / "empty.jpg").touch()
    cut = (folder / "1.png").read_bytes()
    (folder / "cut.png").write_bytes(cut[: len(cut) // 2])
    found = survey(folder)
    assert found.files == 12
    assert [name for name, _ in found.unreadable] == ["cut.png", "empty.jpg"]
    assert all(str(folder / name) in reason for name, reason in found.unreadable)
    assert found.identical == (("0.png", "copy.png"),)
    assert found.similar == (("0.png", "sub/smaller.jpg"),)
    assert found.small == ("tiny.png",)
    assert found.soft == ("soft.png",)
    assert found.usable == 9
    assert found.noise is not None
    assert found.noise.photos == 8
    told = hints(found)
    assert len(told) == 5
    for name in ("cut.png", "copy.png", "sub/smaller.jpg", "tiny.png", "soft.png"):
        assert any(name in hint for hint in told)
    values = found.as_dict()
    assert json.loads(json.dumps(values))["usable"] == 9


def test_few_photos(tmp_path: Path) -> None:
    save(tmp_path / "one.png", scene(1) + 4 * white(1, 128, 160))
    found = survey(tmp_path)
    assert found.usable == 1
    assert "Only 1 usable" in hints(found)[0]
    assert found.noise == measure(images.read_rgb8(tmp_path / "one.png"))


def test_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        survey(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        survey(tmp_path / "nowhere")
    save(tmp_path / "tiny.png", scene(1, 3, 4))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    found = survey(tmp_path)
    assert found.noise is None
    assert (found.usable, found.looked_at) == (1, 1)
    assert json.loads(json.dumps(found.as_dict()))["noise"] is None


def test_compressed_photos(tmp_path: Path) -> None:
    for seed in range(5):
        smooth = blurred(scene(seed), 1) + 3 * white(seed, 128, 160)
        # blocks need not begin at the corner
        save(tmp_path / "whole.jpg", smooth, Q=30)
        save(tmp_path / f"{seed}.png", images.read_rgb8(tmp_path / "whole.jpg")[3:, 5:])
    (tmp_path / "whole.jpg").unlink()
    found = survey(tmp_path)
    assert found.blocked == tuple(f"{seed}.png" for seed in range(5))
    assert any("JPEG" in hint for hint in hints(found))


def test_what_is_looked_at_is_spread_over_the_folder() -> None:
    names = [str(number) for number in range(10)]
    assert evenly(names, 5) == ["0", "2", "4", "6", "8"]
    assert evenly(names, 100) == names
    assert evenly(names, 0) == ["0"]
    assert evenly([], 5) == []


def test_likeness() -> None:
    for seed in range(5):
        original = scene(seed, 300, 400) + 5 * white(seed, 300, 400)
        one = look.composition(as_photo(original))
        for same in (original[::2, ::2], original[4:, 6:], 0.7 * original + 20):
            assert one @ look.composition(as_photo(same)) > 0.95
        others = [look.composition(as_photo(scene(other))) for other in range(10, 30)]
        assert max(one @ other for other in others) < 0.8
    assert not look.composition(np.full((100, 100, 3), 7, np.uint8)).any()
    assert not look.composition(np.zeros((1, 1, 3), np.uint8)).any()


@pytest.mark.skipif(not (DATA / "bsds500").is_dir(), reason=f"needs photos in {DATA}/bsds500")
def test_glances_at_real_photos() -> None:
    paths = images.list_images(DATA / "bsds500" / "val")[::10]
    photos = [images.read_rgb8(path) for path in paths]
    assert min(look.sharpness(photo) for photo in photos) > 0.5
    assert max(look.sharpness(as_photo(blurred(photo, 3))) for photo in photos) < 0.33
    assert max(look.blockiness(photo) for photo in photos) < 1.3
    vectors = np.stack([look.composition(photo) for photo in photos])
    assert np.triu(vectors @ vectors.T, 1).max() < 0.8
