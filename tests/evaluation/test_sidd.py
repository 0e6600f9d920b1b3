"""SIDD's blocks: .mat in and out, same shape, type and order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from noiseda.errors import DataError, OptionError
from noiseda.evaluation import evaluate, evaluate_blocks, read_blocks
from tests.evaluation.conftest import noisy, random_image


def save(path: Path, **arrays: object) -> Path:
    scipy.io.savemat(path, arrays)
    return path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """2×3 blocks of 16×20, each different, with a red cast that an exchange would show."""
    blocks = np.stack([[random_image(16, 20, 3 * i + k) for k in range(3)] for i in range(2)])
    blocks[..., 0] //= 2
    blocks[..., 2] = 255 - blocks[..., 2] // 2
    return save(tmp_path / "Gt.mat", ValidationGtBlocksSrgb=blocks)


def test_restored_written_and_scored_in_one_go(clean: Path, tmp_path: Path) -> None:
    truth = read_blocks(clean)
    degraded = noisy(truth, 20)
    source = save(tmp_path / "Noisy.mat", ValidationNoisyBlocksSrgb=degraded)
    output = tmp_path / "out.mat"
    # red loses more than blue, so that an exchange of the two shows
    halved = np.array([2, 1, 1], np.uint8)
    seen = []
    scores = evaluate_blocks(
        source,
        clean,
        progress=lambda done, total: seen.append((done, total)),
        restore=lambda block: block // halved,
        output=output,
    )
    assert scores is not None
    assert scores.protocol == "sidd"
    assert seen == [(n, 6) for n in range(1, 7)]
    names = ["01/01", "01/02", "01/03", "02/01", "02/02", "02/03"]
    assert [image["name"] for image in scores.images] == names
    written = scipy.io.loadmat(output)["Idenoised"]
    np.testing.assert_array_equal(written, degraded // halved)
    # each block is scored against its own counterpart
    flat = zip(names, written.reshape(6, 16, 20, 3), truth.reshape(6, 16, 20, 3), strict=True)
    assert scores.images == evaluate(flat, "sidd").images
    # and from the written file alone
    again = evaluate_blocks(output, clean)
    assert again is not None
    assert again.images == scores.images


def test_without_ground_truth_there_is_a_file_but_no_score(clean: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mat"
    assert evaluate_blocks(clean, None, restore=lambda block: 255 - block, output=output) is None
    np.testing.assert_array_equal(read_blocks(output), 255 - read_blocks(clean))


def test_wrong_files(clean: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "wrong.mat", a=read_blocks(clean)[:, :2])
    with pytest.raises(DataError, match=r"2×3×16×20×3, but .* 2×2×16×20×3"):
        evaluate_blocks(path, clean)
    with pytest.raises(OptionError, match="did you mean 'sidd'"):
        evaluate_blocks(clean, clean, "sid")
    with pytest.raises(DataError, match="cannot write"):
        evaluate_blocks(clean, None, output=tmp_path / "none" / "out.mat")
