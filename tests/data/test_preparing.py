"""Crops: which, what is in them, and the same after any interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from noiseda import images
from noiseda.data import Selection, choose, open_chosen, select, truth_of
from noiseda.data.crops import Grid, is_prepared, open_prepared
from noiseda.data.layouts import read_layout
from noiseda.data.preparing import Outcome, prepare
from noiseda.errors import DataError, OptionError
from tests.conftest import ENVIRONMENT, photo, write_photos

GRID = Grid(size=16, overlap=4)


def cut(source: Path, out: Path, grid: Grid = GRID, **options) -> Outcome:
    return prepare(read_layout("folder", source), out, grid, workers=1, **options)


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [(48, 50, GRID), (16, 16, GRID), (17, 29, GRID), (28, 40, Grid(16, 0)), (100, 9, GRID)],
)
def test_crops_reach_every_pixel_once_cut(height: int, width: int, grid: Grid) -> None:
    crops = grid.cut(height, width)
    assert len(set(crops)) == len(crops)
    covered = np.zeros((height, width), int)
    for crop in crops:
        inside = covered[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        assert inside.shape == (min(height, 16), min(width, 16)) == (crop.height, crop.width)
        inside += 1
    assert covered.min() == 1 or grid.overlap
    assert (covered > 0).all()
    starts = sorted({crop.top for crop in crops})
    steps = np.diff(starts)
    assert (steps[:-1] == 16 - grid.overlap).all()
    assert starts[-1] == max(height - 16, 0)


def test_grids() -> None:
    assert len(Grid(512, 96).cut(1356, 2040)) == 4 * 5
    assert len(Grid(512, 128).cut(3000, 5328)) == 8 * 14
    # small images are kept whole, those of the paper up to 800
    assert [c.height for c in Grid(512, 96).cut(300, 480)] == [300]
    assert [(c.height, c.width) for c in Grid(512, 96, whole=800).cut(1200, 800)] == [(1200, 800)]
    for size, overlap in ((0, 0), (16, 16), (16, -1)):
        with pytest.raises(OptionError):
            Grid(size, overlap)


def test_store(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", ["a.png", "s/b.png", "tiny.png"], (30, 41))
    images.write(folder / "tiny.png", photo(5, 7))
    done = cut(folder, tmp_path / "out")
    assert (done.images, done.cut, done.crops, done.failures) == (3, 3, 2 * 3 * 4 + 1, [])
    prepared = open_prepared(tmp_path / "out")
    store = prepared.store()
    assert len(store) == done.crops
    for number, (image, crop, _) in enumerate(prepared.crops):
        pixels = images.read_rgb8(prepared.images[image][1])
        rows = slice(crop.top, crop.top + crop.height)
        expected = pixels[rows, crop.left : crop.left + crop.width]
        assert np.array_equal(store[number], expected)
    assert store.shapes[-1] == (5, 7)
    # nothing is cut twice
    before = (tmp_path / "out" / "pixels.bin").stat().st_mtime_ns
    again = cut(folder, tmp_path / "out")
    assert (again.cut, again.crops) == (0, done.crops)
    assert (tmp_path / "out" / "pixels.bin").stat().st_mtime_ns == before
    # a folder of crops is no folder for others
    with pytest.raises(DataError, match=r"other images or settings.*--overwrite"):
        cut(folder, tmp_path / "out", Grid(20, 2))
    assert cut(folder, tmp_path / "out", Grid(20, 2), overwrite=True).crops != done.crops
    with pytest.raises(DataError, match="holds other files"):
        cut(folder, folder)


def test_in_recipes(tmp_path: Path) -> None:
    """Crops stand where folders of images do, alone or beside them."""
    folder = write_photos(tmp_path / "in", ["a.png", "b.png"], (30, 20))
    cut(folder, tmp_path / "crops")
    plain, crops = Selection(folder=folder), Selection(folder=tmp_path / "crops")
    # what takes part is told by the images they are from
    assert [path for _, path in select([crops])] == [path for _, path in select([plain])]
    store = open_chosen(choose([crops, plain]), tmp_path / "cache")
    assert len(store) == 2 + 12
    assert np.array_equal(store[0], images.read_rgb8(folder / "a.png"))
    assert np.array_equal(store[2], store[0][:16, :16])
    assert np.array_equal(store[13], images.read_rgb8(folder / "b.png")[14:, 4:])
    some = crops.model_copy(update={"include": ["b"]})
    assert len(open_chosen(choose([some]))) == 6
    with pytest.raises(DataError, match="none of its 2 images matches"):
        choose([crops.model_copy(update={"include": ["x"]})])


def test_pairs(tmp_path: Path) -> None:
    write_photos(tmp_path / "set/noisy", ["a.png", "b.png", "c.png"], (30, 41))
    write_photos(tmp_path / "set/clean", ["a.png", "b.png", "c.png"], (30, 41))
    images.write(tmp_path / "set/clean/b.png", photo(30, 40))
    (tmp_path / "set/noisy/c.png").write_bytes((tmp_path / "set/noisy/c.png").read_bytes()[:-40])
    entries = read_layout("pairs", tmp_path / "set")
    done = prepare(entries, tmp_path / "out", GRID, workers=1)
    # what is wrong is left out of both sides, and said
    assert (done.images, done.crops) == (1, 12)
    assert len(done.failures) == 2
    assert "b: degraded and clean are of different sizes, 41×30 and 40×30" in done.failures
    assert any("noisy/c.png" in failure for failure in done.failures)
    assert prepare(entries, tmp_path / "out", GRID, workers=1) == Outcome(
        done.folders, 1, 0, 12, done.failures
    )
    degraded, clean = (Selection(folder=folder) for folder in done.folders)
    assert truth_of(degraded, clean.folder) == clean
    assert open_prepared(degraded.folder).names == open_prepared(clean.folder).names
    prepare(entries, tmp_path / "one", GRID, part="clean", workers=1)
    with pytest.raises(DataError, match="not the crops of"):
        truth_of(degraded, tmp_path / "one")
    with pytest.raises(DataError, match="no prepared crops"):
        truth_of(degraded, tmp_path / "set/clean")
    with pytest.raises(DataError, match="has no degraded"):
        cut(tmp_path / "set/clean", tmp_path / "two", part="degraded")


PREPARE = [sys.executable, "-m", "noiseda", "data", "prepare", "set", "--layout", "pairs"]
PREPARE += ["--size", "64", "--overlap", "16", "-o"]


def empty(group: int) -> bool:
    """Whether all processes of a group end soon."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_killed_and_resumed(tmp_path: Path) -> None:
    """In processes, the first of which is killed: the others end, and another call makes the same
    store without cutting anything twice."""
    names = [f"{number:02d}.png" for number in range(24)]
    write_photos(tmp_path / "set/noisy", names, (200, 300))
    write_photos(tmp_path / "set/clean", names, (200, 300))
    options = {"cwd": tmp_path, "env": ENVIRONMENT, "stderr": subprocess.PIPE}
    subprocess.run([*PREPARE, "whole", "--workers", "2"], check=True, **options)

    journal = tmp_path / "out" / "degraded" / "unfinished.jsonl"
    quiet = {**options, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*PREPARE, "out", "--workers", "2"], start_new_session=True, **quiet)
    try:
        while process.poll() is None and not (
            journal.exists() and journal.read_bytes().count(b"\n") > 3
        ):
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert empty(process.pid)
    assert is_prepared(tmp_path / "out" / "degraded")
    with pytest.raises(DataError, match="not finished; run the same"):
        choose([Selection(folder=tmp_path / "out" / "degraded")])
    done = journal.read_bytes().count(b"\n") - 1
    assert 0 < done < 24
    # a torn line, as of a full disk, counts as none
    with journal.open("ab") as file:
        file.write(b"9")
    entries = read_layout("pairs", tmp_path / "set")
    with pytest.raises(DataError, match="unfinished preparation of other images"):
        prepare(entries, tmp_path / "out", Grid(64, 0), workers=1)
    outcome = prepare(entries, tmp_path / "out", Grid(64, 16), workers=1)
    assert outcome.cut == 24 - done
    for side in ("degraded", "clean"):
        whole, resumed = tmp_path / "whole" / side, tmp_path / "out" / side
        assert sorted(path.name for path in resumed.iterdir()) == ["crops.json", "pixels.bin"]
        assert (whole / "pixels.bin").read_bytes() == (resumed / "pixels.bin").read_bytes()
        assert (whole / "crops.json").read_bytes() == (resumed / "crops.json").read_bytes()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", ["a.png"], (20, 20))
    entries = read_layout("folder", tmp_path / "in")

    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(DataError, match="another process prepares it"):
            prepare(entries, tmp_path / "out", GRID, workers=1)

    assert prepare(entries, tmp_path / "out", GRID, workers=1, progress=meanwhile).cut == 1


def test_what_cannot_be_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_photos(tmp_path / "in", ["a.png"], (20, 20))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        cut(folder, tmp_path / "file")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": 10}))
    with pytest.raises(DataError, match="are free"):
        cut(folder, tmp_path / "out")
    monkeypatch.undo()
    assert cut(folder, tmp_path / "out").crops == 4
    os.truncate(tmp_path / "out" / "pixels.bin", 10)
    with pytest.raises(DataError, match=r"pixels.bin is not whole.*--overwrite"):
        open_prepared(tmp_path / "out")
    (folder / "a.png").write_text("no image")
    with pytest.raises(DataError, match="none of the images can be cut"):
        cut(folder, tmp_path / "other")
