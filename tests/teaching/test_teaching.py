"""Targets that a run makes of its own photos: windows, rounds, what samples then show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noiseda import images
from noiseda.data import Store, cut, window_store, write_store
from noiseda.errors import OptionError
from noiseda.training import prepare, teaching_seconds, train
from noiseda.training.teaching import FOLDER, Teaching
from tests.conftest import write_photos
from tests.teaching.recipes import recipe_of

SHAPES = st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=9)


@given(shapes=SHAPES, count=st.integers(1, 20), seed=st.integers(0, 3))
def test_windows_lie_inside_and_are_even(
    shapes: list[tuple[int, int]], count: int, seed: int
) -> None:
    windows = cut(shapes, count, 32, seed)
    assert windows == cut(shapes, count, 32, seed)
    assert len(windows) <= count
    for window in windows:
        height, width = shapes[window.image]
        assert 0 <= window.top <= height - window.height
        assert 0 <= window.left <= width - window.width
        assert window.height == min(height, 32) // 2 * 2 > 0
        assert window.width == min(width, 32) // 2 * 2 > 0
    large = [number for number, shape in enumerate(shapes) if min(shape) >= 64]
    if len(large) == len(shapes) and count <= 4 * len(shapes):
        # every image is large enough for its share
        used = [sum(window.image == number for window in windows) for number in large]
        assert sum(used) == count
        assert max(used) - min(used) <= 1


def test_windows_of_many_images_are_spread_over_all() -> None:
    windows = cut([(50, 50)] * 100, 5, 32, 0)
    assert [window.image for window in windows] == [0, 20, 40, 60, 80]


def test_a_store_of_windows_gives_them_back(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
    (tmp_path / "all.bin").write_bytes(pixels.tobytes())
    store = Store(tmp_path / "all.bin", [(40, 50)] * 2, [0, 40 * 50 * 3])
    windows = cut(store.shapes, 5, 24, 0)
    write_store(tmp_path / "windows.bin", [window.of(store) for window in windows])
    again = window_store(tmp_path / "windows.bin", windows)
    assert len(again) == 5
    for number, window in enumerate(windows):
        rows = slice(window.top, window.top + 24)
        expected = pixels[window.image][rows, window.left : window.left + 24]
        assert np.array_equal(again[number], expected)


def test_each_round_is_taught_by_the_network_as_it_is_then(
    recipe_file: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(recipe_file, **{"training.learning_rate": 0.05})
    prepared = prepare(recipe)
    folder = tmp_path / "run"
    folder.mkdir()
    teaching = Teaching(prepared.module, prepared.samples, recipe.steps, folder)
    assert teaching.starts == [0, 3]
    assert teaching.begin(0, prepared.module, None) == 3
    first = (folder / FOLDER / "0.bin").read_bytes()
    # not made again, as a run that is continued must learn from the same
    weight = next(iter(prepared.module.averaged.parameters()))
    weight.data.mul_(1.5)
    assert teaching.begin(2, prepared.module, None) == 3
    assert (folder / FOLDER / "0.bin").read_bytes() == first
    assert teaching.begin(3, prepared.module, None) == 6
    second = (folder / FOLDER / "1.bin").read_bytes()
    assert len(second) == len(first)
    assert second != first
    assert not (folder / FOLDER / "0.bin").exists()
    assert teaching_seconds(folder) > 0


def test_interrupted_targets_go_on(recipe_file: Path, tmp_path: Path) -> None:
    """Also if a photo has gone meanwhile."""
    recipe = recipe_of(recipe_file)

    def teaching(folder: str) -> tuple[Teaching, Any]:
        (tmp_path / folder).mkdir(exist_ok=True)
        prepared = prepare(recipe)
        made = Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path / folder)
        return made, prepared.module

    whole, module = teaching("whole")
    whole.begin(0, module, None)
    expected = (tmp_path / "whole" / FOLDER / "0.bin").read_bytes()

    broken, module = teaching("broken")
    teach, calls = broken.objective.teach, []

    def stopped(restorer: Any, photo: Any) -> Any:
        calls.append(photo)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return teach(restorer, photo)

    broken.objective.teach = stopped
    with pytest.raises(KeyboardInterrupt):
        broken.begin(0, module, None)
    part = tmp_path / "broken" / FOLDER / "0.part"
    # as a process leaves it that is killed while it writes
    part.write_bytes(part.read_bytes() + b"rest")
    (tmp_path / "real" / "x.png").unlink()
    again, module = teaching("broken")
    assert again.windows == whole.windows
    teach, calls = again.objective.teach, []
    again.objective.teach = lambda restorer, photo: calls.append(photo) or teach(restorer, photo)
    again.begin(0, module, None)
    assert (len(calls), len(again.windows)) == (1, 2)
    assert (tmp_path / "broken" / FOLDER / "0.bin").read_bytes() == expected
    assert not part.exists()


def test_crops_of_targets_are_those_of_the_photos(recipe_file: Path, tmp_path: Path) -> None:
    recipe = recipe_of(recipe_file)
    prepared = prepare(recipe)
    teaching = Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path)
    # "targets" that are the photos themselves
    prepared.module.objective.teach = lambda restorer, photo: photo
    teaching.begin(0, prepared.module, None)
    for number in range(5):
        sample: dict[str, Any] = {**prepared.samples[number]}
        assert np.array_equal(sample["real"], sample["taught"])
        assert not np.array_equal(sample["clean"], sample["taught"])


def test_without_clean_images_the_photos_show_what_is_learned(
    recipe_file: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(recipe_file, objective={"content": "photos"}, **{"data.clean": []})
    result = train(recipe, tmp_path / "run")
    assert result.finished
    with pytest.raises(OptionError, match=r"'data.clean' is missing"):
        recipe_of(recipe_file, **{"data.clean": []})


def test_photos_of_one_pixel_give_no_window(recipe_file: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "dots", ["dot.png"], (1, 1))
    images.write(tmp_path / "dots" / "large.png", np.zeros((20, 20, 3), np.uint8))
    recipe = recipe_of(recipe_file, **{"data.real": str(tmp_path / "dots")})
    assert train(recipe, tmp_path / "run").finished
