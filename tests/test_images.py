"""Images: files to arrays to tensors and back, with nothing lost and nothing half-written."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from noiseda import images
from noiseda.errors import DataError, ImageError
from noiseda.images import Kind, Photo, library, tensors

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(height: int, width: int, dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    random = np.random.default_rng(height * 1000 + width)
    return random.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def refused(path: Path, *words: str) -> str:
    """The message of reading `path`: one line with the file's name and these words."""
    with pytest.raises(ImageError) as caught:
        images.read(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in (path.name, *words):
        assert word in message
    return message


# --- write and read again ---------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
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


@settings(deadline=None, max_examples=25)
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


# --- metadata and orientation ------------------------------------------------------------------


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


# --- files that are refused --------------------------------------------------------------------


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


def test_stderr_stays_clean(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 20] = bytes(20)
    (tmp_path / "damaged.jpg").write_bytes(damaged)
    program = """
import sys
from noiseda import errors, images
for path in sys.argv[1:]:
    try:
        images.read(path)
        print("read")
    except errors.ImageError:
        print("refused")
assert "torch" not in sys.modules
"""
    names = [str(tmp_path / name) for name in ("a.jpg", "cut.jpg", "damaged.jpg")]
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["read", "refused"]
    assert done.stderr == ""


def test_forked_processes_never_hang(tmp_path: Path) -> None:
    """Data-loading workers are forked from a process that has read and written images."""
    names = ["a.png", "a.jpg", "a.tif", "a.webp"]
    program = """
import os, signal, sys
import numpy as np
from noiseda import errors, images
pixels = np.zeros((300, 30, 3), np.uint8)
for path in sys.argv[1:]:
    images.write(path, pixels)
    images.read(path)
for action in (*sys.argv[1:], None):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 0
        try:
            images.read(action) if action else images.write(sys.argv[1], pixels)
        except errors.ImageError as error:
            code = 1 if "forkserver" in str(error) else 2
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    paths = [str(tmp_path / name) for name in names]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "0", "0", "1", "1"]


# --- writing whole or not at all ---------------------------------------------------------------


def test_writing_refuses(tmp_path: Path) -> None:
    pixels = noise(4, 4)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    for name, words in {
        "missing/a.png": "create it first",
        "folder.png": "is a folder",
        "file/a.png": "cannot be written",
        "a.gif": "cannot write files of type .gif",
        "a": "add a suffix",
    }.items():
        with pytest.raises(ImageError, match=words) as caught:
            images.write(tmp_path / name, pixels)
        assert len(str(caught.value).splitlines()) == 1
    photo = Photo(noise(5, 4), Kind(5, 4))
    with pytest.raises(ImageError, match="4×4 pixels"):
        images.write(tmp_path / "a.png", pixels, photo)
    with pytest.raises(ImageError, match="cannot be encoded"):
        images.write(tmp_path / "wide.jpg", np.zeros((1, 70000, 3), np.uint8))
    for wrong in (pixels.astype(np.float32), pixels[..., 0], pixels[:0]):
        with pytest.raises(ValueError, match="pixels must be"):
            images.write(tmp_path / "a.png", wrong)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_full_disk_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    images.write(path, noise(2, 2))
    before = path.read_bytes()
    program = """
import resource, sys
import numpy as np
from noiseda import errors, images
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
try:
    images.write(sys.argv[1], pixels)
except errors.ImageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert done.stdout.count("\n") == 1, done.stderr
    assert path.name in done.stdout
    assert "cannot be written" in done.stdout
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    images.write(tmp_path / "a.png", noise(2, 2))
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


# --- folders -----------------------------------------------------------------------------------


def test_list_images(tmp_path: Path) -> None:
    for name in (
        "b/2.PNG", "b/10.jpg", "a.tiff", "b.webp", "c/d/x.gif", ".hidden.png", ".cache/a.png",
        "notes.txt", "._a.tiff",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    os.symlink(tmp_path, tmp_path / "c" / "loop")
    found = [path.relative_to(tmp_path).as_posix() for path in images.list_images(tmp_path)]
    assert found == ["a.tiff", "b.webp", "b/10.jpg", "b/2.PNG", "c/d/x.gif"]


def test_list_images_refuses(tmp_path: Path) -> None:
    (tmp_path / "file.png").touch()
    for name in ("one", "none"):
        (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / "one" / "deep" / "a.txt").touch()
    for name, words in {
        "missing": "no such folder",
        "file.png": "not a folder",
        "one": r"no image in this folder \(1 other file\)",
        "none": "it is empty",
    }.items():
        with pytest.raises(DataError, match=words):
            images.list_images(tmp_path / name)


# --- tensors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tensor_round_trip_of_every_value(dtype: type) -> None:
    levels = np.iinfo(dtype).max + 1
    pixels = np.resize(np.arange(levels, dtype=dtype), (levels // 64, 64 * 3)).reshape(-1, 64, 3)
    tensor = images.to_tensor(pixels)
    assert tensor.shape == (1, 3, *pixels.shape[:2])
    assert tensor.dtype == torch.float32
    assert (tensor.min(), tensor.max()) == (0, 1)
    assert tensor[0, 2, 1, 5].item() == np.float32(pixels[1, 5, 2] / (levels - 1))
    for form in (tensor, tensor[0], tensor.double()):
        again = images.to_pixels(form, dtype)
        assert again.dtype == dtype
        assert again.flags.c_contiguous
        assert np.array_equal(again, pixels)


def test_to_pixels_clamps_and_rounds() -> None:
    values = [-0.01, 1.01, 0.999, 0.4 / 255, 0.6 / 255, float("inf")]
    tensor = torch.tensor(values).expand(3, 1, -1).requires_grad_()
    assert images.to_pixels(tensor, np.uint8)[0, :, 0].tolist() == [0, 255, 255, 0, 1, 255]
    with pytest.raises(ImageError, match="1 NaN"):
        images.to_pixels(torch.tensor([0, float("nan"), 0]).reshape(1, 3, 1, 1))
    for shape in ((2, 3, 4, 4), (1, 4, 4, 4), (4, 4)):
        with pytest.raises(ValueError, match="shape"):
            images.to_pixels(torch.zeros(shape))


def test_every_listed_suffix_is_known_to_the_reader() -> None:
    assert images.WRITABLE < images.SUFFIXES
    for first, second in itertools.pairwise(sorted(images.SUFFIXES)):
        assert first.startswith(".")
        assert first == first.lower() != second
