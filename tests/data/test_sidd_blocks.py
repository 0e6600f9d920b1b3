"""SIDD's blocks: .mat to PNG and back, bit for bit, RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from noiseda import images
from noiseda.data.sidd_blocks import from_folder, read_blocks, to_folder, write_blocks
from noiseda.errors import DataError, NoiseDAError

BLOCKS = np.random.default_rng(0).integers(0, 256, (3, 4, 8, 10, 3)).astype(np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    savemat(tmp_path / "ValidationNoisyBlocksSrgb.mat", {"ValidationNoisyBlocksSrgb": BLOCKS})
    return tmp_path / "ValidationNoisyBlocksSrgb.mat"


def test_round_trip(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "blocks"
    assert to_folder(file, folder) == 12
    names = sorted(path.name for path in folder.iterdir())
    assert names[:5] == ["0001_01.png", "0001_02.png", "0001_03.png", "0001_04.png", "0002_01.png"]
    assert np.array_equal(images.read_rgb8(folder / "0003_02.png"), BLOCKS[2, 1])
    # what is there stays, what was half done is done
    before = (folder / "0001_01.png").stat().st_mtime_ns
    (folder / "0002_03.png").unlink()
    to_folder(file, folder)
    assert (folder / "0001_01.png").stat().st_mtime_ns == before
    assert from_folder(folder, tmp_path / "Idenoised.mat") == BLOCKS.shape
    content = loadmat(tmp_path / "Idenoised.mat")["Idenoised"]
    assert content.dtype == np.uint8
    assert np.array_equal(content, BLOCKS)
    assert np.array_equal(read_blocks(tmp_path / "Idenoised.mat"), BLOCKS)


def refused(act, *words: str) -> None:
    with pytest.raises(NoiseDAError) as caught:
        act()
    assert len(str(caught.value).splitlines()) == 1
    for word in words:
        assert word in str(caught.value)


def test_bad_files(file: Path, tmp_path: Path) -> None:
    refused(lambda: read_blocks(tmp_path / "none.mat"), "no such file")
    path = tmp_path / "wrong.mat"
    path.write_text("no .mat file, but long enough to have a header" * 5)
    refused(lambda: read_blocks(path), "wrong.mat", "not a whole .mat")
    path.write_bytes(file.read_bytes()[:2000])
    refused(lambda: read_blocks(path), "not a whole .mat")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(600))
    refused(lambda: read_blocks(path), "version 7.3", "'-v7'")


@pytest.mark.parametrize(
    ("arrays", "held"),
    [
        ({"a": BLOCKS.astype(float), "b": BLOCKS[0]}, "a (3, 4, 8, 10, 3), b (4, 8, 10, 3)"),
        ({"a": BLOCKS, "b": BLOCKS}, "a (3, 4, 8, 10, 3), b (3, 4, 8, 10, 3)"),
        ({"a": BLOCKS[..., :2]}, "a (3, 4, 8, 10, 2)"),
        ({}, "nothing"),
    ],
    ids=["other types", "two", "two colours", "none"],
)
def test_not_one_array_of_blocks(tmp_path: Path, arrays: dict[str, np.ndarray], held: str) -> None:
    savemat(tmp_path / "a.mat", arrays)
    refused(lambda: read_blocks(tmp_path / "a.mat"), "a.mat", f"holds {held}, not one array")


def test_bad_folders(file: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "blocks", tmp_path / "out.mat"
    to_folder(file, folder)
    images.write(folder / "0002_02.png", BLOCKS[0, 0, :7])
    refused(lambda: from_folder(folder, out), "0002_02.png", "10×7", "10×8")
    (folder / "0002_02.png").unlink()
    refused(lambda: from_folder(folder, out), "1 blocks are missing", "0002_02.png")
    images.write(folder / "extra.png", BLOCKS[0, 0])
    refused(lambda: from_folder(folder, out), "extra.png", "not one block each")
    refused(lambda: from_folder(folder, out, "1st"), "--variable 1st")
    assert not out.exists()
    with pytest.raises(DataError):
        to_folder(file, file / "inside")


def test_blocks_that_cannot_be_written(tmp_path: Path) -> None:
    refused(lambda: write_blocks(tmp_path / "none" / "out.mat", BLOCKS), "cannot write", "out.mat")
    with pytest.raises(ValueError, match="uint8"):
        write_blocks(tmp_path / "out.mat", BLOCKS[0])
