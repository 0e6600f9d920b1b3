"""Ground truth of the real photos: aligned with them, and seen by the supervised oracle alone."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from noiseda import adaptation, degradations, images
from noiseda.adaptation import OBJECTIVES
from noiseda.data import TrainingSamples, open_store
from noiseda.errors import DataError, OptionError
from noiseda.training import prepare, read_recipe
from tests.conftest import photo, write_photos


class Gain(nn.Module):
    """Instead of a network."""

    def forward(self, degraded: Tensor) -> Tensor:
        return 0.5 * degraded


def level(value: float) -> Tensor:
    return torch.full((2, 3, 4, 4), value)


@pytest.mark.parametrize(("value_range", "scale"), [("unit", 1), ("signed", 2)])
def test_supervised_by_hand(value_range: str, scale: int) -> None:
    batch = {"real": level(0.8), "truth": level(0.1), "clean": level(0.6), "synthetic": level(1.0)}
    real = math.sqrt((0.3 * scale) ** 2 + 1e-6)
    synthetic = math.sqrt((0.1 * scale) ** 2 + 1e-6)
    alone = adaptation.build("supervised", value_range=value_range)
    assert alone.required == ("real", "truth")
    terms = alone(Gain(), {role: batch[role] for role in alone.required})
    assert terms.keys() == {"supervised", "loss"}
    assert terms["loss"].item() == pytest.approx(real, rel=1e-5)
    both = adaptation.build("supervised", value_range=value_range, synthetic_weight=0.5)
    assert set(both.required) == set(batch)
    terms = both(Gain(), batch)
    assert terms["supervised"].item() == pytest.approx(real, rel=1e-5)
    assert terms["restoration"].item() == pytest.approx(synthetic, rel=1e-5)
    assert terms["loss"].item() == pytest.approx(real + 0.5 * synthetic, rel=1e-5)
    with pytest.raises(DataError, match="truth"):
        alone(Gain(), {"real": level(0.5)})
    with pytest.raises(OptionError, match="synthetic_weight"):
        adaptation.build("supervised", synthetic_weight=-1)


def opened(folder: Path, cache: Path) -> Any:
    return open_store(sorted(folder.iterdir()), cache)


def test_truth_is_cut_where_the_photo_is(tmp_path: Path) -> None:
    write_photos(tmp_path / "clean", ["a.png"], (20, 20))
    for number in range(3):
        # smaller than the patch, too
        pixels = photo(12 + 9 * number, 30, number)
        for name, values in (("real", pixels), ("truth", 255 - pixels)):
            (tmp_path / name).mkdir(exist_ok=True)
            images.write(tmp_path / name / f"{number}.png", values)
    clean, real, truth = (opened(tmp_path / n, tmp_path / "c") for n in ("clean", "real", "truth"))
    build = degradations.build("gaussian")
    samples = TrainingSamples(clean, real, clean, build, 16, 3, truth)
    without = TrainingSamples(clean, real, clean, build, 16, 3)
    for number in range(20):
        sample: Any = samples[number]
        assert torch.equal(torch.round(255 * (sample["real"] + sample["truth"])), level_255(sample))
        # and changes no other draw
        before: Any = without[number]
        assert sample.keys() - before.keys() == {"truth"}
        for role in before.keys() - {"number"}:
            assert torch.equal(sample[role], before[role])
    write_photos(tmp_path / "other", ["0.png", "1.png", "2.png"], (30, 30))
    for stores in ((real, opened(tmp_path / "other", tmp_path / "c")), (None, truth)):
        with pytest.raises(DataError, match="ground truth"):
            TrainingSamples(clean, stores[0], None, build, 16, 3, stores[1])


def level_255(sample: Any) -> Tensor:
    return torch.full_like(sample["real"], 255)


# --- in a recipe ------------------------------------------------------------------------------


@pytest.fixture
def truth(recipe_file: Path) -> Path:
    """Ground truth of the recipe's photos, whose brightness tells which is which."""
    home = recipe_file.parent
    for part, start in (("real", 10), ("truth", 110)):
        shutil.rmtree(home / part, ignore_errors=True)
        for number, name in enumerate(["b.png", "in/a.png", "z.png"]):
            path = home / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            images.write(path, np.full((20 + number, 20, 3), start + number, np.uint8))
    return home / "truth"


def test_pairs_by_relative_path(recipe_file: Path, truth: Path) -> None:
    home = recipe_file.parent
    # sorted by another name there
    (truth / "b.png").rename(truth / "b.ppm")
    images.write(truth / "b.ppm", images.read_rgb8(home / "real" / "b.png") + 100)
    keys: dict[str, Any] = {"objective": "supervised", "data.truth": truth}

    def stores(**changes: Any) -> tuple[list[int], list[int]]:
        found = prepare(read_recipe(recipe_file, {**keys, **changes})).samples.stores
        levels = []
        for role in ("real", "truth"):
            store = found[role]
            assert store is not None
            levels.append([int(store[index][0, 0, 0]) for index in range(len(store))])
        return levels[0], levels[1]

    real, levels = stores()
    assert sorted(real) == [10, 11, 12]
    assert levels == [value + 100 for value in real]
    # a part of the photos, and several entries, in their order
    parts = [{"folder": home / "real", "include": [name]} for name in ("z*", "in/*")]
    assert stores(**{"data.real": parts, "data.truth": [truth, truth]}) == ([12, 11], [112, 111])


def test_truth_that_does_not_fit(recipe_file: Path, truth: Path) -> None:
    home = recipe_file.parent

    def refused(**keys: Any) -> str:
        with pytest.raises(DataError) as caught:
            prepare(read_recipe(recipe_file, {"objective": "supervised", **keys}))
        return str(caught.value)

    assert "needs data.truth; give a folder of images with --set" in refused()
    message = refused(**{"data.truth": [truth, truth]})
    assert "data.truth names 2 folders and data.real 1" in message
    assert "no such folder" in refused(**{"data.truth": home / "absent"})
    images.write(truth / "z.png", np.zeros((9, 20, 3), np.uint8))
    assert "z.png 20×22 but clean 20×9" in refused(**{"data.truth": truth})
    (truth / "z.png").unlink()
    assert f"of {home / 'real'} not in {truth} (z.png)" in refused(**{"data.truth": truth})
    assert not (home / "cache").exists()


def test_no_other_objective_sees_the_truth(recipe_file: Path, truth: Path) -> None:
    """Not even its file names: what is no image, and does not pair, is not noticed."""
    shutil.rmtree(truth)
    truth.mkdir()
    (truth / "broken.png").write_text("no image")
    others = [name for name in OBJECTIVES.names if name != "supervised"]
    assert {"vanilla", "noise-space"} <= set(others)
    for name in others:
        small = read_recipe(recipe_file).objective if name == "noise-space" else {}
        options = {key: value for key, value in small.items() if key != "name"}
        assert "truth" not in adaptation.build(name, **options).required
    for change in ("objective=vanilla", "seed=1"):
        recipe = read_recipe(recipe_file, [change, f"data.truth={truth}"])
        assert recipe.data.truth == [truth]
        samples = prepare(recipe).samples
        assert samples.stores["truth"] is None
        assert "truth" not in samples[0]
