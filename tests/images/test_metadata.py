"""Metadata is kept, orientation is applied once."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from noiseda import images
from noiseda.images import library
from tests.images.conftest import noise

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def tagged(path: Path, orientation: int = 1) -> np.ndarray:
    """Write a photo with profile, EXIF and resolution; its pixels upright as Pillow sees them."""
    picture = Image.fromarray(noise(24, 40))
    exif = picture.getexif()
    exif[0x0112] = orientation
    exif[0x010F] = "Nikon"
    exif.get_ifd(0x8769)[0x829D] = 2.8
    picture.save(path, exif=exif, icc_profile=SRGB, dpi=(300, 300), quality=90)
    with Image.open(path) as saved:
        return np.asarray(ImageOps.exif_transpose(saved).convert("RGB"))


@pytest.mark.parametrize(
    ("source", "target"),
    [(".jpg", ".jpg"), (".png", ".png"), (".webp", ".webp"), (".jpg", ".png"), (".tif", ".tif")],
)
def test_metadata_is_kept(tmp_path: Path, source: str, target: str) -> None:
    tagged(tmp_path / f"in{source}", orientation=6)
    photo = pickle.loads(pickle.dumps(images.read(tmp_path / f"in{source}")))
    images.write(tmp_path / f"out{target}", photo.pixels, photo.kind)
    with Image.open(tmp_path / f"out{target}") as picture:
        assert picture.info["icc_profile"] == SRGB
        exif = picture.getexif()
        assert exif.get(0x0112, 1) == 1
        if target != ".tif":
            assert exif[0x010F] == "Nikon"
            assert float(exif.get_ifd(0x8769)[0x829D]) == pytest.approx(2.8)
        if target != ".webp":
            assert float(picture.info["dpi"][0]) == pytest.approx(300, abs=0.1)
    assert images.read(tmp_path / f"out{target}").kind.icc_profile == SRGB


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"in{suffix}"
    expected = tagged(path, orientation)
    assert images.size(path) == expected.shape[:2]
    photo = images.read(path)
    assert photo.pixels.flags.c_contiguous
    # two JPEG decoders may differ by a level or two
    assert np.abs(photo.pixels.astype(int) - expected).max() <= (3 if suffix == ".jpg" else 0)
    for target in (".png", ".jpg", ".tif"):
        out = tmp_path / f"out{target}"
        images.write(out, photo.pixels, photo)
        with Image.open(out) as picture:
            assert picture.getexif().get(0x0112, 1) == 1
        assert images.size(out) == expected.shape[:2]
        if target != ".jpg":
            assert np.array_equal(images.read(out).pixels, photo.pixels)


def test_alpha_turns_with_the_picture(tmp_path: Path) -> None:
    stored = noise(4, 6, channels=4)
    picture = Image.fromarray(stored, "RGBA")
    exif = picture.getexif()
    exif[0x0112] = 8
    picture.save(tmp_path / "a.png", exif=exif)
    photo = images.read(tmp_path / "a.png")
    assert photo.kind.alpha is not None
    assert np.array_equal(photo.kind.alpha, np.rot90(stored[..., 3]))
    assert np.array_equal(photo.pixels, np.rot90(stored[..., :3]))


def test_thumbnail_and_xmp_orientation_do_not_survive(tmp_path: Path) -> None:
    vips = library.vips()
    thumbnail = vips.Image.new_from_array(noise(4, 6)).jpegsave_buffer(keep="none")
    source = vips.Image.new_from_array(noise(24, 40))
    source.set_type(vips.GValue.blob_type, "jpeg-thumbnail-data", thumbnail)
    source.write_to_file(str(tmp_path / "in.jpg"))
    assert thumbnail in (tmp_path / "in.jpg").read_bytes()
    photo = images.read(tmp_path / "in.jpg")
    images.write(tmp_path / "out.jpg", photo.pixels, photo)
    assert thumbnail not in (tmp_path / "out.jpg").read_bytes()

    xmp = b'<x:xmpmeta><rdf tiff:Orientation="6" dc:title="Sea"/></x:xmpmeta>'
    photo.kind.metadata["xmp-data"] = xmp
    images.write(tmp_path / "xmp.jpg", photo.pixels, photo)
    kept = images.read(tmp_path / "xmp.jpg").kind.metadata["xmp-data"]
    assert kept == xmp.replace(b'"6"', b'"1"')
