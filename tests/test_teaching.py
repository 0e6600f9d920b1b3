"""Targets that a run makes of its own photos: windows, rounds, what samples then show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from noiseda import images
from noiseda.data import Store, cut, window_store, write_store
from noiseda.degradations import Gaussian, Matched
from noiseda.errors import OptionError
from noiseda.training import (
    Recipe,
    judging_seconds,
    prepare,
    read_recipe,
    resume,
    teaching_seconds,
    train,
)
from noiseda.training.teaching import FOLDER, Teaching
from noiseda.training.warm_up import VERDICT, WarmUp
from tests.conftest import write_photos

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


def recipe_of(path: Path, **keys: Any) -> Recipe:
    content = yaml.safe_load(path.read_text())
    content["objective"] = {"name": "two-scale", "windows": 3, **keys.pop("objective", {})}
    path.write_text(yaml.safe_dump(content))
    return read_recipe(path, {"training.images": 12, **keys})


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


def draw_weights(module: torch.nn.Module, spread: float) -> list[torch.Tensor]:
    """The spoilt weights; without any spread the network leaves photos as they are."""
    torch.manual_seed(0)
    for weight in module.parameters():
        weight.data.normal_(0, spread)
    return [weight.clone() for weight in module.parameters()]


def noisy_photos(folder: Path, sigma: float, contrasts: bool = False) -> None:
    """In place of what is there, which is textured; noise that is not as strong everywhere looks
    like texture."""
    for path in folder.iterdir():
        path.unlink()
    random = np.random.default_rng(0)
    noise = random.normal(0, sigma, (2, 128, 128, 3))
    if contrasts:
        noise *= np.kron(2 ** random.uniform(-1, 1, (8, 8)), np.ones((16, 16)))[..., None]
    for number, values in enumerate(128 + noise):
        images.write(folder / f"{number}.png", values.clip(0, 255).astype(np.uint8))


def warmed(recipe_file: Path, tmp_path: Path, spread: float) -> tuple[Any, Teaching]:
    """A run of 6 steps, 3 of them a warm-up, at its beginning; of photos that can be judged on."""
    noisy_photos(tmp_path / "real", 30)
    recipe = recipe_of(recipe_file, objective={"warm_up": 0.5})
    prepared = prepare(recipe)
    draw_weights(prepared.module, spread)
    teaching = Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path)
    assert teaching.begin(0, prepared.module, None) == 3
    # over the clean images as they are, the noise of the photos
    assert isinstance(prepared.samples.degradation, Matched)
    assert "taught" not in prepared.samples[0]
    return prepared, teaching


def test_weak_noise_that_the_network_leaves_needs_a_warm_up(
    recipe_file: Path, tmp_path: Path
) -> None:
    """A network of zeros changes nothing."""
    noisy_photos(tmp_path / "real", 10)
    recipe = recipe_of(recipe_file, objective={"warm_up": 0.5})
    prepared = prepare(recipe)
    draw_weights(prepared.module, 0)
    made = Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path)
    assert made.starts == [3, 4]
    found = json.loads((tmp_path / FOLDER / "noise.json").read_text())
    assert (found["strong"], found["kept"]) == (False, pytest.approx(1))
    # a run that goes on decides alike, though the network is another one
    draw_weights(prepared.module, 0.3)
    assert Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path).starts == [3, 4]


def test_a_warm_up_without_clean_images(recipe_file: Path, tmp_path: Path) -> None:
    """It shows restorations, shrunk; and goes on alike after an interruption."""

    class Stop(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
            if trainer.global_step == 2:
                raise KeyboardInterrupt

    noisy_photos(tmp_path / "real", 10)
    objective = {"warm_up": 0.5, "content": "photos", "warm_up_content": "photos"}
    recipe = recipe_of(recipe_file, objective=objective, **{"data.clean": []})
    prepared = prepare(recipe)
    draw_weights(prepared.module, 0)
    teaching = Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path)
    assert teaching.begin(0, prepared.module, None) == 3
    samples = prepared.samples
    assert "taught" not in samples[0]
    shown = samples.stores["clean"]
    assert shown is not None
    assert shown.shapes == [(128, 128)] * 2
    assert isinstance(samples.degradation, Matched)
    sample = samples[0]
    assert "clean" in sample
    # noise is averaged
    assert float(sample["clean"].std()) < 0.5 * float(images.to_tensor(shown[0]).std())
    assert teaching.begin(3, prepared.module, None) == 4
    assert "taught" in samples[0]
    assert not (tmp_path / FOLDER / "-1.bin").exists()
    train(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", callbacks=[Stop()])
    resume(tmp_path / "broken")
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken")]
    assert models[0] == models[1]
    assert len(list((tmp_path / "whole" / FOLDER).glob("*[0-9].json"))) == 3


def test_a_network_that_takes_the_noise_away_needs_no_warm_up(
    recipe_file: Path, tmp_path: Path
) -> None:
    """However strong the noise is, where there are no clean images to lay it over."""
    noisy_photos(tmp_path / "real", 30)
    objective = {"warm_up": 0.5, "content": "photos", "warm_up_content": "photos"}
    recipe = recipe_of(recipe_file, objective=objective, **{"data.clean": []})
    prepared = prepare(recipe)
    photos = prepared.samples.stores["real"]
    assert photos is not None
    smoothing = torch.nn.AvgPool2d(3, 1, 1)
    made = WarmUp(smoothing, prepared.samples, photos, 3, tmp_path / FOLDER, of_photos=True)
    assert not made.worthwhile
    found = json.loads((tmp_path / FOLDER / "noise.json").read_text())
    assert not found["strong"]
    assert found["kept"] == pytest.approx(1 / 9, rel=0.15)


@pytest.mark.parametrize(("sigma", "starts"), [(5, [0, 3]), (35, [3, 4])])
def test_weak_noise_beside_texture_is_no_reason_for_a_warm_up(
    sigma: int, starts: list[int], recipe_file: Path, tmp_path: Path
) -> None:
    """Texture may have been taken for it; the network would leave all of it."""
    noisy_photos(tmp_path / "real", sigma, contrasts=True)
    objective = {"warm_up": 0.5, "content": "photos", "warm_up_content": "photos"}
    recipe = recipe_of(recipe_file, objective=objective, **{"data.clean": []})
    prepared = prepare(recipe)
    draw_weights(prepared.module, 0)
    made = Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path)
    assert made.starts == starts


def test_hardly_any_noise_needs_no_warm_up(recipe_file: Path, tmp_path: Path) -> None:
    noisy_photos(tmp_path / "real", 1.5)
    recipe = recipe_of(recipe_file, objective={"warm_up": 0.5})
    prepared = prepare(recipe)
    teaching = Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path)
    assert teaching.starts == [0, 3]
    teaching.begin(0, prepared.module, None)
    assert isinstance(prepared.samples.degradation, Gaussian)
    assert "taught" in prepared.samples[0]


def test_a_warm_up_that_makes_it_worse_is_undone(recipe_file: Path, tmp_path: Path) -> None:
    prepared, teaching = warmed(recipe_file, tmp_path, spread=0)
    module, samples = prepared.module, prepared.samples
    draw_weights(module, 0.3)
    assert teaching.begin(3, module, None) == 4
    assert isinstance(samples.degradation, Gaussian)
    assert not any(weight.any() for weight in module.parameters())
    assert "taught" in samples[0]
    # decided once: later weights are left as they are
    later = draw_weights(module, 0.3)
    teaching.begin(4, module, None)
    assert all(map(torch.equal, module.parameters(), later))


def test_a_warm_up_that_helps_is_kept(recipe_file: Path, tmp_path: Path) -> None:
    prepared, teaching = warmed(recipe_file, tmp_path, spread=0.1)
    draw_weights(prepared.module, 0)
    assert teaching.begin(3, prepared.module, None) == 4
    assert isinstance(prepared.samples.degradation, Matched)
    assert not any(weight.any() for weight in prepared.module.parameters())
    assert judging_seconds(tmp_path) > 0


@pytest.mark.parametrize(("stop", "content"), [(2, "source"), (3, "photos"), (4, "photos")])
def test_a_run_goes_on_alike_after_its_warm_up(
    recipe_file: Path, tmp_path: Path, stop: int, content: str
) -> None:
    """Also if it is undone: training without a bound makes it worse."""

    class Stop(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
            if trainer.global_step == stop:
                raise KeyboardInterrupt

    noisy_photos(tmp_path / "real", 30)
    objective = {"warm_up": 0.5, "content": content}
    recipe = recipe_of(recipe_file, objective=objective, **{"training.learning_rate": 0.5})
    train(recipe, tmp_path / "whole")
    verdict = json.loads((tmp_path / "whole" / FOLDER / VERDICT).read_text())
    assert verdict["kind"] != "better"
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", callbacks=[Stop()])
    resume(tmp_path / "broken")
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken")]
    assert models[0] == models[1]


def test_a_warm_up_needs_clean_images(recipe_file: Path, tmp_path: Path) -> None:
    for content in ("source", "photos"):
        objective = {"warm_up": 0.5, "content": content}
        with pytest.raises(OptionError, match=r"'data.clean' is missing"):
            recipe_of(recipe_file, objective=objective, **{"data.clean": []})
    pairs = [{"degraded": str(tmp_path / "real"), "clean": str(tmp_path / "clean")}]
    with pytest.raises(OptionError, match=r"warm_up lays noise over clean images"):
        recipe_of(
            recipe_file, objective={"warm_up": 0.5}, **{"data.clean": [], "data.pairs": pairs}
        )


@pytest.mark.parametrize(("sigma", "starts"), [(35, [3, 4]), (1.5, [0, 3])])
def test_after_a_warm_up_the_photos_show_what_is_learned(
    recipe_file: Path, tmp_path: Path, sigma: float, starts: list[int]
) -> None:
    noisy_photos(tmp_path / "real", sigma)
    objective = {"warm_up": 0.5, "content": "photos", "shrink": 2.0}
    recipe = recipe_of(recipe_file, objective=objective, **{"data.enlarge": [1, 3]})
    prepared = prepare(recipe)
    source = prepared.samples.stores["clean"]
    teaching = Teaching(prepared.module, prepared.samples, recipe.steps, tmp_path)
    assert teaching.starts == starts
    if starts[0]:
        teaching.begin(0, prepared.module, None)
        assert prepared.samples.stores["clean"] is source
        assert prepared.samples.resize == (1, 3)
        assert isinstance(prepared.samples.degradation, Matched)
    teaching.begin(starts[0], prepared.module, None)
    assert prepared.samples.stores["clean"] is prepared.samples.stores["taught"]
    # photos are not enlarged as the source's images are
    assert prepared.samples.resize == (0.5, 1)
    assert train(recipe, tmp_path / "run").finished
