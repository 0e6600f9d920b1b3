"""Everything wrong with a set is found at once, and what training and test have in common."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from noiseda import images
from noiseda.data.checking import Finding, Report, check
from noiseda.data.checking.features import resize
from noiseda.errors import DataError
from tests.data.conftest import leaves, write

DATA = Path(os.environ.get("NOISEDA_DATA", Path(__file__).parents[3] / "shared" / "data"))


def found(report: Report, kind: str) -> set[tuple[str, str]]:
    return {
        (finding.image.name, finding.other.name if finding.other else "")
        for finding in report.findings
        if finding.kind == kind
    }


def scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    height, width = (round(size * factor) for size in pixels.shape[:2])
    bands = [resize(pixels[..., band].astype(np.float32), height, width) for band in range(3)]
    return np.stack(bands, axis=-1).round().clip(0, 255).astype(np.uint8)


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(9).normal(0, sigma, pixels.shape)
    return (pixels + noise).round().clip(0, 255).astype(np.uint8)


# how a photo of 240×320 gets into a test set
COPIES = {
    "same": lambda photo: photo,
    "jpeg": lambda photo: images.through_jpeg(photo, 70),
    "half": lambda photo: scaled(photo, 0.5),
    "larger": lambda photo: scaled(photo, 1.3),
    "noisy": lambda photo: noisy(photo, 10),
    "crop": lambda photo: photo[31:171, 50:210],
    "corner": lambda photo: photo[-120:, -130:],
    "jpeg crop": lambda photo: images.through_jpeg(np.ascontiguousarray(photo[20:180, 9:200]), 75),
    "scaled crop": lambda photo: scaled(photo[40:220, 100:300], 0.7),
    "larger crop": lambda photo: scaled(photo[40:200, 30:190], 1.25),
    "flipped": lambda photo: np.ascontiguousarray(photo[:, ::-1]),
    "flipped jpeg": lambda photo: images.through_jpeg(np.ascontiguousarray(photo[::-1]), 70),
    "flipped half": lambda photo: scaled(photo[::-1, ::-1], 0.5),
}


def test_leaks(tmp_path: Path) -> None:
    """Each copy is found, with its source alone; other images are not."""
    for seed, copy in enumerate(COPIES):
        photo = leaves(240, 320, seed)
        write(tmp_path / "train" / f"{copy}.png", photo)
        write(tmp_path / "test" / f"{copy}.png", COPIES[copy](photo))
    for seed in range(100, 106):
        write(tmp_path / "train" / f"{seed}.png", leaves(240, 320, seed))
        write(tmp_path / "test" / f"{seed}.png", leaves(200, 220, seed + 100))
    report = check([tmp_path / "train"], test=[tmp_path / "test"], workers=1)
    assert found(report, "leak") == {(f"{copy}.png", f"{copy}.png") for copy in COPIES}
    assert report.counts == {
        **dict.fromkeys(["unreadable", "unpaired", "size", "duplicate"], 0),
        "leak": len(COPIES),
    }
    by_name = {finding.image.stem: finding for finding in report.findings}
    assert by_name["jpeg"].detail == "the same"
    assert by_name["flipped"].detail == "the same, flipped left to right"
    assert by_name["flipped jpeg"].detail == "the same, flipped upside down"
    assert by_name["flipped half"].detail == "the same, flipped both ways"
    assert by_name["crop"].detail == "29% of the first is 100% of the second"


def test_training_crops_of_test_images(tmp_path: Path) -> None:
    """The other way round: the whole image is in the test."""
    photo = leaves(240, 320, 0)
    write(tmp_path / "train/a.png", photo[100:, 100:])
    write(tmp_path / "train/b.png", leaves(140, 220, 1))
    write(tmp_path / "test/c.png", photo)
    report = check([tmp_path / "train"], test=[tmp_path / "test"], workers=1)
    assert found(report, "leak") == {("a.png", "c.png")}


def test_all_at_once(tmp_path: Path) -> None:
    noisy_, clean = tmp_path / "noisy", tmp_path / "clean"
    for seed, name in enumerate(["a.png", "b.png", "c.png", "d/e.png", "small.png"]):
        side = 20 if name == "small.png" else 64
        write(clean / name, leaves(side, 80, seed))
        write(noisy_ / name, noisy(leaves(side, 80, seed), 5))
    write(noisy_ / "lonely.png", leaves(64, 80, 10))
    write(clean / "alone.png", leaves(64, 80, 11))
    write(clean / "b.png", leaves(64, 81, 1))
    # twice, encoded again
    images.write(clean / "d" / "again.jpg", leaves(64, 80, 3))
    images.write(noisy_ / "d" / "again.jpg", leaves(64, 80, 12))
    (noisy_ / "c.png").write_bytes((noisy_ / "c.png").read_bytes()[:-60])
    (noisy_ / "empty.png").touch()
    report = check([noisy_], clean, smallest=32, workers=1)
    assert found(report, "unreadable") == {("c.png", ""), ("empty.png", "")}
    assert found(report, "unpaired") == {("lonely.png", ""), ("alone.png", ""), ("empty.png", "")}
    assert found(report, "size") == {("b.png", "b.png"), ("small.png", "")}
    assert found(report, "duplicate") == {("again.jpg", "e.png")}
    assert report.images == 15
    kinds = [finding.kind for finding in report.findings]
    assert kinds == sorted(kinds, key=list(report.counts).index)
    report.write(tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["counts"] == report.counts
    assert content["clean"] == str(clean)
    assert {(item["kind"], item["image"]) for item in content["findings"]} >= {
        ("unreadable", str(noisy_ / "empty.png"))
    }
    with pytest.raises(DataError, match="cannot be written"):
        report.write(tmp_path / "none" / "report.json")


def test_processes_find_the_same(tmp_path: Path) -> None:
    for seed in range(20):
        write(tmp_path / "train" / f"{seed:02d}.png", leaves(64, 80, seed))
    write(tmp_path / "train/20.png", leaves(64, 80, 7))
    told = []
    reports = [
        check([tmp_path / "train"], workers=n, progress=lambda *c: told.append(c)) for n in (1, 2)
    ]
    assert reports[0] == reports[1]
    (finding,) = reports[0].findings
    assert isinstance(finding, Finding)
    assert finding.line().endswith("07.png and " + str(tmp_path / "train/20.png") + ": the same")
    assert ("decoding", 21, 21) in told


def test_a_symmetrical_image_is_not_called_flipped(tmp_path: Path) -> None:
    half = leaves(160, 120, 0)
    photo = np.concatenate([half, half[:, ::-1]], axis=1)
    write(tmp_path / "train/a.png", photo)
    write(tmp_path / "test/a.png", photo)
    (finding,) = check([tmp_path / "train"], test=[tmp_path / "test"], workers=1).findings
    assert finding.detail == "the same"


def test_flat_images_are_not_all_the_same(tmp_path: Path) -> None:
    """Nothing to tell them apart by is no sign of a copy."""
    for number, shade in enumerate((10, 100, 200)):
        write(tmp_path / "train" / f"{number}.png", np.full((40, 50, 3), shade, np.uint8))
        write(tmp_path / "test" / f"{number}.png", np.full((30, 70, 3), shade, np.uint8))
    assert not check([tmp_path / "train"], test=[tmp_path / "test"], workers=1).findings
    write(tmp_path / "train" / "again.png", np.full((40, 50, 3), 10, np.uint8))
    assert found(check([tmp_path / "train"], workers=1), "duplicate") == {("0.png", "again.png")}


@pytest.mark.skipif(not (DATA / "rain100l").is_dir(), reason=f"no shared images in {DATA}")
def test_rain100l_is_bsds500(tmp_path: Path) -> None:
    """Four of the known overlap among images that are not in it."""
    same = {"train/100075": "1", "train/105019": "2", "val/260058": "83", "val/291000": "99"}
    others = ["test/100007", "test/100039", "test/100099", "test/101027"]
    train = [DATA / "bsds500" / f"{name}.jpg" for name in [*same, *others]]
    test = [DATA / "rain100l" / "clean" / f"{name}.png" for name in [*same.values(), "5", "6"]]
    for folder, paths in (("train", train), ("test", test)):
        (tmp_path / folder).mkdir()
        for path in paths:
            (tmp_path / folder / path.name).symlink_to(path)
    report = check([tmp_path / "train"], test=[tmp_path / "test"], workers=1)
    expected = {(f"{name.partition('/')[2]}.jpg", f"{copy}.png") for name, copy in same.items()}
    assert found(report, "leak") == expected
