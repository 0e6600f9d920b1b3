"""The warm-up: when it is worth its steps, what samples show in it, what it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch

from noiseda import images
from noiseda.degradations import Gaussian, Matched
from noiseda.errors import OptionError
from noiseda.training import judging_seconds, prepare, resume, train
from noiseda.training.teaching import FOLDER, Teaching
from noiseda.training.warm_up import VERDICT, WarmUp
from tests.teaching.recipes import recipe_of


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
