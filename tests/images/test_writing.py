"""Files are written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from noiseda import images
from noiseda.errors import ImageError
from noiseda.images import Kind, Photo
from tests.images.conftest import noise


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
