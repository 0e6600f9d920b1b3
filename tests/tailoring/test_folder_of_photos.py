"""`noiseda adapt` on a folder as people have them, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from noiseda import images
from noiseda.checkpoint import open_model
from tests.conftest import photo
from tests.tailoring.conftest import SHORT, noisy, write

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
Noiseda = Callable[..., subprocess.CompletedProcess[str]]


def odd_photos(folder: Path) -> Path:
    write(folder, "sub folder/[1] a#b.png", "sub folder/*?.png", "ünï/日本.png", "plain.png")
    Image.fromarray(noisy(90, 200, 20)).save(folder / "00 first.jpg", icc_profile=SRGB)
    deep = noisy(80, 90, 21).astype(np.uint16) * 257
    images.write(folder / "deep.png", deep)
    gray = images.Kind(80, 90, gray=True)
    images.write(folder / "gray.png", np.repeat(noisy(80, 90, 22)[..., :1], 3, 2), gray)
    alpha = np.arange(80 * 90, dtype=np.uint32).reshape(80, 90) % 256
    images.write(
        folder / "alpha.png", noisy(80, 90, 23), images.Kind(80, 90, alpha=alpha.astype(np.uint8))
    )
    shutil.copy(folder / "plain.png", folder / "ünï" / "copy.png")
    whole = (folder / "plain.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    images.write(folder / "tiny.png", photo(9, 12))
    (folder / "notes.txt").write_text("no photo")
    for name, source in ((b"00 fir\xe9t.jpg", "00 first.jpg"), (b"deep\xe9.png", "deep.png")):
        shutil.copy(folder / source, folder / os.fsdecode(name))
    images.write(folder / "other.png", noisy(80, 90, 24))
    (folder / "other.png").rename(folder / os.fsdecode(b"other\xe9.png"))
    return folder


def test_an_odd_folder(
    noiseda: Noiseda, refused: Callable[..., str], start: Path, tmp_path: Path
) -> None:
    photos = odd_photos(tmp_path / "my photos")
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    folder = tmp_path / "my camera"
    done = noiseda("adapt", photos, "-o", folder, "--from", start, *SHORT)
    # one of them could not be restored
    assert done.returncode == 1, done.stderr
    (failed,) = (line for line in done.stderr.splitlines() if "failed" in line)
    assert failed.startswith(f"failed: {photos / 'truncated.png'}: truncated or damaged")
    assert "Traceback" not in done.stderr
    assert "8 of 14 photos can be used" in done.stdout
    assert "1 cannot be read, first truncated.png." in done.stdout
    assert "1 smaller than 64 pixels, first tiny.png." in done.stdout
    assert "1 restored but not learned from, as their names are not UTF-8" in done.stdout
    assert "Its grain is coarser than any the model was trained on" in done.stdout
    assert "13 photos restored" in done.stdout
    assert before == {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}

    expected = {path.relative_to(photos) for path in images.list_images(photos)}
    restored = folder / "restored"
    assert {path.relative_to(restored) for path in images.list_images(restored)} == expected - {
        Path("truncated.png")
    }
    for path in images.list_images(restored):
        kind, own = images.read(path).kind, images.read(photos / path.relative_to(restored)).kind
        assert (kind.height, kind.width, kind.gray, kind.depth) == (
            *(own.height, own.width, own.gray, own.depth),
        )
        assert (kind.alpha is None) == (own.alpha is None)
        assert kind.icc_profile == own.icc_profile

    page = (folder / "report.html").read_text("utf-8")
    state = json.loads((folder / "adapt.json").read_text("utf-8"))
    headline = {"better": "Better", "worse": "Worse", "unsure": "Not sure"}
    assert f"<strong>{headline[state['verdict']['kind']]}</strong>" in page
    assert "start.safetensors" in page
    # the first photo is one of those kept back
    (shown,) = folder.glob("report-files/1-photo-*")
    assert images.read(shown).kind.icc_profile == SRGB
    assert images.size(folder / "preview.jpg")[1] > 3 * 60
    open_model(folder / "model.safetensors", "denoise")
    names = {path.name for path in folder.iterdir()}
    assert names == {"adapt.json", "model.safetensors", "preview.jpg", "report-files",
                     "report.html", "restored"}  # fmt: skip

    assert refused("adapt", photos, "-o", folder, "--from", start, *SHORT) == (
        f"noiseda: {folder} holds a finished adaptation: see {folder / 'report.html'}; for another "
        "one choose another folder with -o"
    )
