"""What is written is read again, with nothing lost that the format holds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from noiseda import images
from noiseda.errors import ImageError
from noiseda.images import Kind, tensors
from tests.images.conftest import noise, refused


@settings(max_examples=60)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    depth=st.sampled_from([8, 16]),
    gray=st.booleans(),
    alpha=st.booleans(),
    suffix=st.sampled_from([".png", ".tif"]),
)
@example(height=600, width=3, depth=16, gray=False, alpha=True, suffix=".tif")
@example(height=513, width=2, depth=8, gray=True, alpha=True, suffix=".png")
def test_round_trip(
    height: int, width: int, depth: int, gray: bool, alpha: bool, suffix: str
) -> None:
    dtype = np.uint8 if depth == 8 else np.uint16
    pixels = noise(height, width, dtype)
    if gray:
        pixels = np.repeat(pixels[..., :1], 3, axis=2)
    plane = noise(width, height, dtype)[..., 0].T if alpha else None
    kind = Kind(height, width, gray=gray, depth=depth, alpha=plane)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"photo{suffix}")
        images.write(path, pixels, kind)
        again = images.read(path)
        assert images.size(path) == (height, width)
        # Pillow has no 16-bit RGB and no 16-bit alpha to compare with
        if depth == 8:
            with Image.open(path) as independent:
                bands = (1 if gray else 3) + alpha
                stored = np.asarray(independent).reshape(height, width, bands)
            assert np.array_equal(stored[..., 0], pixels[..., 0])
    assert again.pixels.dtype == dtype
    assert np.array_equal(again.pixels, pixels)
    assert (again.kind.gray, again.kind.depth) == (gray, depth)
    if plane is None:
        assert again.kind.alpha is None
    else:
        assert again.kind.alpha is not None
        assert np.array_equal(again.kind.alpha, plane)


@settings(max_examples=25)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    case=st.sampled_from([(".webp", 8), (".bmp", 8), (".ppm", 8), (".ppm", 16)]),
)
def test_round_trip_of_other_formats(height: int, width: int, case: tuple[str, int]) -> None:
    suffix, depth = case
    pixels = noise(height, width, np.uint8 if depth == 8 else np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"photo{suffix}")
        images.write(path, pixels)
        again = images.read(path)
        assert images.size(path) == (height, width)
        if depth == 8:
            with Image.open(path) as independent:
                assert np.array_equal(np.asarray(independent.convert("RGB")), pixels)
    assert again.pixels.dtype == pixels.dtype
    assert np.array_equal(again.pixels, pixels)


def test_pgm(tmp_path: Path) -> None:
    gray = np.repeat(noise(3, 5, np.uint16)[..., :1], 3, axis=2)
    images.write(tmp_path / "a.pgm", gray, Kind(3, 5, gray=True, depth=16))
    photo = images.read(tmp_path / "a.pgm")
    assert photo.kind.gray
    assert np.array_equal(photo.pixels, gray)
    with pytest.raises(ImageError, match="PGM cannot hold colour"):
        images.write(tmp_path / "b.pgm", gray)
    (tmp_path / "c.pgm").write_bytes(b"P5 # made by hand\n2 # columns\n1\n255\n\x07\x09")
    assert images.read(tmp_path / "c.pgm").pixels[0, :, 2].tolist() == [7, 9]
    (tmp_path / "d.pgm").write_bytes(b"P5 2 2 255\n\x07\x09")
    refused(tmp_path / "d.pgm", "ends before its last pixel")


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_bmp_of_others(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(noise(5, 7)).convert(mode)
    picture.save(tmp_path / "a.bmp")
    photo = images.read(tmp_path / "a.bmp")
    assert np.array_equal(photo.pixels, np.asarray(picture.convert("RGB")))
    assert photo.kind.gray == (mode == "L")
    data = (tmp_path / "a.bmp").read_bytes()
    (tmp_path / "cut.bmp").write_bytes(data[:-9])
    refused(tmp_path / "cut.bmp", "ends before its last pixel")


@pytest.mark.parametrize("mode", ["1", "P", "L", "LA", "RGB", "RGBA", "I;16"])
def test_kinds_of_png(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray(noise(6, 9, np.uint16)[..., 0])
        expected = np.repeat(noise(6, 9, np.uint16)[..., :1], 3, axis=2)
    else:
        picture = Image.fromarray(noise(6, 9, channels=4), "RGBA").convert(mode)
        expected = np.asarray(picture.convert("RGBA"))[..., :3]
    picture.save(tmp_path / "in.png")
    photo = images.read(tmp_path / "in.png")
    assert np.array_equal(photo.pixels, expected)
    assert photo.kind.gray == (mode in ("1", "L", "LA", "I;16"))
    images.write(tmp_path / "out.png", photo.pixels, photo)
    assert np.array_equal(images.read(tmp_path / "out.png").pixels, expected)
    if mode.endswith("A"):
        alpha = np.asarray(picture)[..., -1]
        again = images.read(tmp_path / "out.png").kind.alpha
        assert again is not None
        assert np.array_equal(again, alpha)


def test_gray_is_the_rounded_mean(tmp_path: Path) -> None:
    pixels = np.array([[[0, 0, 1], [0, 1, 1], [255, 255, 254], [10, 20, 33]]], np.uint8)
    images.write(tmp_path / "a.png", pixels, Kind(1, 4, gray=True))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "L"
        assert np.asarray(picture).tolist() == [[0, 1, 255, 21]]


def test_16_bits_are_rounded_to_8(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16)
    expected = np.rint(values / 257.0).astype(np.uint8)
    assert np.array_equal(images.to_8bit(values), expected)
    assert np.array_equal(images.to_8bit(tensors.to_16bit(expected)), expected)

    # flat colours survive JPEG to within its own rounding, so a truncated 254.6 would show
    for value, level in ((65450, 255), (33024, 128), (33025, 129), (100, 0)):
        pixels = np.full((16, 16, 3), value, np.uint16)
        images.write(tmp_path / "a.jpg", pixels, Kind(16, 16, depth=16))
        photo = images.read(tmp_path / "a.jpg")
        assert photo.kind.depth == 8
        assert (photo.pixels == level).all()
    images.write(tmp_path / "a.png", pixels, Kind(16, 16, depth=16))
    assert images.read(tmp_path / "a.png").kind.depth == 16
    assert images.read_rgb8(tmp_path / "a.png").dtype == np.uint8


def test_jpeg_keeps_colour_resolution(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, ::2] = [255, 0, 0]
    pixels[:, 1::2] = [0, 0, 255]
    images.write(tmp_path / "a.jpg", pixels)
    error = np.abs(images.read(tmp_path / "a.jpg").pixels.astype(int) - pixels)
    # colour at half resolution would be wrong by more than a hundred levels
    assert error.max() < 30
