"""Pairs from disk as the synthetic side: the same crop of both, and every error at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
import yaml

from noiseda import degradations, images
from noiseda.checkpoint import open_model
from noiseda.data import TrainingSamples, open_store
from noiseda.data.samples import random_crop
from noiseda.degradations import Degradation
from noiseda.errors import DataError, NoiseDAError, OptionError
from noiseda.random import BatchRandom, generator
from noiseda.training import prepare, read_recipe, resume, train
from tests.conftest import photo, write_photos


def write_pairs(folder: Path, names: list[str], suffix: str = ".png") -> None:
    """Clean images, and degraded ones that are half as bright, in `clean` and `rainy`."""
    write_photos(folder / "clean", names)
    for name in names:
        pixels = images.read_rgb8(folder / "clean" / name)
        target = (folder / "rainy" / name).with_suffix(suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        images.write(target, pixels // 2)


def paired(file: Path, **pairs: Any) -> dict[str, Any]:
    """The tiny recipe with pairs instead of clean images."""
    content = yaml.safe_load(file.read_text())
    folder = file.parent
    del content["data"]["clean"], content["degradation"]
    content["data"]["pairs"] = {
        "degraded": str(folder / "rainy"),
        "clean": str(folder / "clean"),
        **pairs,
    }
    content["task"] = "derain"
    file.write_text(yaml.safe_dump(content))
    return content


def test_both_sides_show_the_same_crop(recipe_file: Path) -> None:
    write_pairs(recipe_file.parent, ["a.png", "b.png", "sub/c.png"], ".bmp")
    paired(recipe_file)
    samples = prepare(read_recipe(recipe_file)).samples
    seen = set()
    for number in range(40):
        sample: Any = samples[number]
        clean, synthetic = ((255 * sample[role]).round() for role in ("clean", "synthetic"))
        assert torch.equal((clean / 2).floor(), synthetic)
        assert clean.shape == (3, 16, 16)
        seen.add(clean.numpy().tobytes())
    assert len(seen) > 30
    # the clean crops are those that a degradation would get
    alone: Any = TrainingSamples(
        samples.stores["clean"], None, None, degradations.build("gaussian"), 16, samples.seed
    )[5]
    assert torch.equal(alone["clean"], samples[5].get("clean", torch.zeros(())))


def test_a_run_on_pairs_resumes_exactly(recipe_file: Path) -> None:
    folder = recipe_file.parent
    write_pairs(folder, ["a.png", "b.png", "sub/c.png"])
    content = paired(recipe_file)
    assert "degradation" not in content
    whole = train(read_recipe(recipe_file), folder / "whole")
    assert whole.finished
    _, info = open_model(folder / "whole")
    assert info.task == "derain"
    # killed in the middle, after its last checkpoint
    with pytest.raises(RuntimeError, match="killed"):
        train(read_recipe(recipe_file), folder / "part", callbacks=[Killed(at=14)])
    assert [path.stem for path in (folder / "part" / "checkpoints").glob("*.ckpt")] == ["000000012"]
    assert resume(folder / "part").finished
    first, second = (open_model(folder / name)[0].state_dict() for name in ("whole", "part"))
    assert all(torch.equal(first[name], second[name]) for name in first)


class Killed(lightning.Callback):
    def __init__(self, at: int) -> None:
        self.at = at

    def on_train_batch_start(self, trainer: Any, *others: Any) -> None:
        if trainer.global_step == self.at:
            raise RuntimeError("killed")


def message(act: Callable[[], Any], kind: type[NoiseDAError]) -> str:
    with pytest.raises(kind) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_everything_that_does_not_pair_is_reported(recipe_file: Path) -> None:
    folder = recipe_file.parent
    write_pairs(folder, ["a.png", "b.png", "c.png"])
    paired(recipe_file)
    content = yaml.safe_load(recipe_file.read_text())
    write_photos(folder / "more", ["x.png"])
    other = {"degraded": str(folder / "more"), "clean": str(folder / "clean")}
    content["data"]["pairs"] = [content["data"]["pairs"], other]
    recipe_file.write_text(yaml.safe_dump(content))
    (folder / "rainy" / "a.png").rename(folder / "rainy" / "z.png")
    text = message(lambda: prepare(read_recipe(recipe_file)), DataError)
    for words in ("data.pairs: ", "z.png", "a.png", "x.png", "b.png"):
        assert words in text


def test_sizes_must_agree(recipe_file: Path) -> None:
    folder = recipe_file.parent
    write_pairs(folder, ["a.png", "b.png"])
    (folder / "clean" / "sub" / "c.png").unlink()
    images.write(folder / "rainy" / "b.png", photo(20, 30))
    paired(recipe_file)
    text = message(lambda: prepare(read_recipe(recipe_file)), DataError)
    assert "b.png 30×20 but clean 56×48" in text
    store = open_store([folder / "clean" / "a.png"], folder / "cache")
    other = open_store([folder / "rainy" / "b.png"], folder / "cache")
    with pytest.raises(DataError, match="same sizes"):
        TrainingSamples(store, None, None, None, 16, 0, synthetic=other)


def test_patterns_choose_pairs(recipe_file: Path) -> None:
    folder = recipe_file.parent
    write_pairs(folder, ["a.png", "b.png", "d.png"])
    paired(recipe_file, degraded={"folder": str(folder / "rainy"), "include": ["[bd].png"]})
    store = prepare(read_recipe(recipe_file)).samples.stores["synthetic"]
    assert store is not None
    assert len(store) == 2


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data.clean": "photos"}, "data.clean and data.pairs are both given"),
        ({"data.pairs": []}, "'data.clean' is missing; give clean images there, or data.pairs"),
        ({"data.pairs": [], "data.clean": "photos"}, "'degradation' is missing"),
        ({"data.enlarge": [1, 2]}, "leave it out with data.pairs"),
        ({"data.enlarge": [2, 1]}, "data.enlarge: low 2 is above high 1"),
        ({"data.enlarge": [0.5, 1]}, "data.enlarge.0: "),
        ({"data.pairs.degarded": "photos"}, "did you mean 'degraded'"),
        ({"data.pairs": [{"degraded": "photos"}]}, "'data.pairs.0.clean' is missing"),
    ],
)
def test_what_is_refused(recipe_file: Path, changed: dict[str, Any], words: str) -> None:
    paired(recipe_file)
    assert words in message(lambda: read_recipe(recipe_file, changed), OptionError)


def test_a_folder_may_be_called_like_a_number(recipe_file: Path) -> None:
    paired(recipe_file)
    recipe = read_recipe(recipe_file, ["data.pairs.degraded=2024", "data.pairs.clean=007"])
    (pair,) = recipe.data.pairs
    assert (pair.degraded.folder.name, pair.clean.name) == ("2024", "007")


@pytest.mark.parametrize(
    ("task", "degradation", "fitting"),
    [
        ("derain", "gaussian", "denoise"),
        ("deblur", "rain", "derain"),
        ("denoise", "rain", "derain"),
    ],
)
def test_the_task_is_that_of_the_degradation(
    recipe_file: Path, task: str, degradation: str, fitting: str
) -> None:
    given = {"task": task, "degradation": {"name": degradation}}
    content = yaml.safe_load(recipe_file.read_text()) | given
    recipe_file.write_text(yaml.safe_dump(content))
    text = message(lambda: read_recipe(recipe_file), OptionError)
    assert f"task '{task}' does not fit degradation '{degradation}', which is for {fitting}" in text
    # of several, one has to fit
    parts = [{"name": degradation}, {"name": {"deblur": "motion-blur"}.get(task, "rain")}]
    parts += [{"name": "gaussian"}]
    mixed = read_recipe(recipe_file, {"degradation": {"name": "mixture", "parts": parts}})
    assert mixed.task == task


class Shift(Degradation):
    """Every pixel becomes the one two rows below it; the last rows become black."""

    @property
    def margin(self) -> int:
        return 2

    def degrade(self, clean: torch.Tensor, random: BatchRandom) -> torch.Tensor:
        return torch.cat([clean[..., 2:, :], torch.zeros_like(clean[..., :2, :])], -2)


def test_crops_are_degraded_with_their_surroundings(tmp_path: Path) -> None:
    write_photos(tmp_path, ["a.png"], (30, 40))
    store = open_store([tmp_path / "a.png"], tmp_path / "cache")
    samples = TrainingSamples(store, None, None, Shift(), 16, seed=1)
    for number in range(20):
        sample: Any = samples[number]
        assert sample["clean"].shape == sample["synthetic"].shape == (3, 16, 16)
        torch.testing.assert_close(sample["synthetic"][:, :-2], sample["clean"][:, 2:])
        assert float(sample["synthetic"][:, -2:].min()) > 0
        # the crop is the one without a margin
        crop = random_crop(store, 16, generator(1, number, "clean"))
        wide = random_crop(store, 16, generator(1, number, "clean"), margin=5)
        assert np.array_equal(wide[5:-5, 5:-5], crop)
        assert np.array_equal(images.to_pixels(sample["clean"]), crop)
