"""A report is whole or not there, and one that is there stays until the next is whole."""

from __future__ import annotations

import re
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import ImageCms

from noiseda import images
from noiseda.errors import ImageError, RunError
from noiseda.report import FILES, PAGE, Noise, ShownPhoto, Verdict, write_report
from tests.conftest import photo
from tests.report.conftest import coloured, report


def state(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def named(folder: Path) -> set[str]:
    """Pictures that the page names."""
    return set(re.findall(rf"{FILES}/[^\"]+", (folder / PAGE).read_text()))


def test_a_new_report_replaces_the_old_one(tmp_path: Path) -> None:
    write_report(tmp_path, report(coloured(), coloured(height=80)))
    first = state(tmp_path)
    assert set(first) == {PAGE, *named(tmp_path)}
    assert len(first) == 11
    (tmp_path / FILES / "1-mine.jpg").write_bytes(b"mine")
    write_report(tmp_path, report(coloured(height=80), text="new"))
    second = state(tmp_path)
    assert set(second) == {PAGE, f"{FILES}/1-mine.jpg", *named(tmp_path)}
    assert len(second) == 7
    # the same again gives the same files
    write_report(tmp_path, report(coloured(height=80), text="new"))
    assert state(tmp_path) == second


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from noiseda import errors
from noiseda.report import Photos, Report, ShownPhoto, Verdict, write_report
noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
plain = np.zeros((8, 8, 3), np.uint8)
shown = [ShownPhoto("small", plain, plain, plain)]
if sys.argv[2] == "picture":
    shown.append(ShownPhoto("large", noise, noise, noise))
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    write_report(Path(sys.argv[1]), Report("t", Verdict("worse", "s"), Photos(2), shown=shown))
except errors.NoiseDAError as error:
    print(error)
"""


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("large", ["picture", "page"])
def test_full_disk(tmp_path: Path, large: str, before: bool) -> None:
    if before:
        write_report(tmp_path, report(coloured()))
    then = state(tmp_path)
    command = [sys.executable, "-c", FULL, tmp_path, large]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(
        {"picture": r".*2-photo-.*cannot be written.*\n", "page": r".*report\.html: cannot .*\n"}[
            large
        ],
        done.stdout,
    ), done.stderr
    assert state(tmp_path) == then
    assert (tmp_path / FILES).exists() == before


def test_a_failing_restoration_leaves_the_old_report(tmp_path: Path) -> None:
    write_report(tmp_path, report(coloured()))
    then = state(tmp_path)

    def shown() -> Iterator[ShownPhoto]:
        yield coloured(height=30)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path, report(shown=shown()))
    assert state(tmp_path) == then


def test_one_photo_in_memory(tmp_path: Path) -> None:
    alive: list[weakref.ref[ShownPhoto]] = []

    def one() -> ShownPhoto:
        assert [ref() for ref in alive] == [None] * len(alive)
        made = coloured()
        alive.append(weakref.ref(made))
        return made

    write_report(tmp_path, report(shown=(one() for _ in range(3))))
    assert len(alive) == 3


def test_pictures_are_the_photos(tmp_path: Path) -> None:
    """Full size, full-resolution colour, in their own colour profile."""
    # a colour edge in every pixel, which JPEG of half resolution would blur away
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 200
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = ShownPhoto("a", stripes, photo(32, 32), photo(32, 32, seed=1), profile)
    write_report(tmp_path, report(content))
    for name, pixels in (
        ("photo", stripes),
        ("start", content.start),
        ("adapted", content.adapted),
    ):
        (file,) = tmp_path.glob(f"{FILES}/1-{name}-*")
        read = images.read(file)
        assert read.kind.icc_profile == profile
        assert np.abs(read.pixels.astype(int) - pixels).mean() < 6
    (file,) = tmp_path.glob(f"{FILES}/1-residual-*")
    assert images.read(file).kind.icc_profile is None


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot write the report here"):
        write_report(tmp_path / "missing", report())
    (tmp_path / FILES).touch()
    with pytest.raises(RunError, match="cannot write the report here"):
        write_report(tmp_path, report())
    (tmp_path / FILES).unlink()
    wide = coloured(height=1, width=70000)
    with pytest.raises(ImageError, match="cannot be encoded"):
        write_report(tmp_path, report(wide))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="none of better, worse, unsure"):
        Verdict(cast(Any, "good"), "s")
    with pytest.raises(ValueError, match="outside"):
        Verdict("better", "s", 93)
    with pytest.raises(ValueError, match="of one size"):
        ShownPhoto("a", photo(4, 5), photo(4, 5), photo(5, 4))
    with pytest.raises(ValueError, match=r"must be \(3, 2\)"):
        Noise([0, 1], np.ones((2, 3)), [], [], np.eye(3))
    with pytest.raises(ValueError, match="the same distances"):
        Noise([0, 1], np.ones((3, 2)), [1], [1, 0], np.eye(3))
