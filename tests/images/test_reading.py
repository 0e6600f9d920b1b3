"""Files are read whole or refused in one line."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from noiseda import images
from noiseda.errors import ImageError
from noiseda.images import library
from tests.images.conftest import noise, refused


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".gif", ".bmp", ".ppm"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / f"a{suffix}")
    whole = (tmp_path / f"a{suffix}").read_bytes()
    images.read(tmp_path / f"a{suffix}")
    cut = tmp_path / f"cut{suffix}"
    for share in (0.02, 0.2, 0.5, 0.8, 0.97):
        cut.write_bytes(whole[: int(len(whole) * share)])
        refused(cut)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_truncated_interlaced(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    picture = library.vips().Image.new_from_array(noise(64, 64))
    picture.write_to_file(str(path), interlace=True)
    whole = path.read_bytes()
    images.read(path)
    for share in (0.3, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        refused(path, "truncated or damaged")


def test_damaged_png(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", noise(64, 64))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    refused(tmp_path / "a.png", "truncated or damaged")


def test_not_images(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "empty (0 bytes)")
    (tmp_path / "text.png").write_text("a text\nof two lines")
    refused(tmp_path / "text.png", "not an image")
    (tmp_path / "drawing.png").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>'
    )
    refused(tmp_path / "drawing.png", "svg")
    (tmp_path / "BM.bmp").write_text("BMW")
    refused(tmp_path / "BM.bmp", "header")
    refused(tmp_path / "missing.png", "no such file")
    refused(tmp_path, "is a folder")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "not a regular file")
    for name in ("empty.png", "text.png", "missing.png"):
        with pytest.raises(ImageError, match=name):
            images.size(tmp_path / name)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_several_images_in_a_file(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(noise(8, 8 + i)[:, :8]) for i in range(3)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    refused(tmp_path / f"a{suffix}", "animation" if suffix == ".png" else "3 images")


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "jpg"), ("CMYK", "tif"), ("F", "tif")])
def test_other_colours(tmp_path: Path, mode: str, suffix: str) -> None:
    Image.fromarray(noise(8, 8)).convert(mode).save(tmp_path / f"a.{suffix}")
    refused(tmp_path / f"a.{suffix}", "convert it to RGB")


def test_odd_file_names(tmp_path: Path) -> None:
    pixels = noise(3, 4)
    for name in ("a[1].png", "[Q=1].png", "a b.png", "ü.png", "a\nb.png", os.fsdecode(b"\xff.png")):
        images.write(tmp_path / name, pixels)
        assert np.array_equal(images.read(tmp_path / name).pixels, pixels)
    (tmp_path / "a\nb.png").write_bytes(b"x")
    with pytest.raises(ImageError) as caught:
        images.read(tmp_path / "a\nb.png")
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for level in (10, 200):
        pixels = np.full((8, 8, 3), level, np.uint8)
        images.write(path, pixels)
        status = path.stat()
        os.utime(path, ns=(0, 0))
        assert status.st_size > 0
        assert (images.read(path).pixels == level).all()


def test_every_listed_suffix_is_known_to_the_reader() -> None:
    assert images.WRITABLE < images.SUFFIXES
    for first, second in itertools.pairwise(sorted(images.SUFFIXES)):
        assert first.startswith(".")
        assert first == first.lower() != second
