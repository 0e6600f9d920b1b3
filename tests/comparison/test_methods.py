"""What a name in a comparison stands for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noiseda import images
from noiseda.comparison.methods import default_names, known, pretraining, trained
from noiseda.errors import DataError, NoiseDAError, OptionError
from noiseda.training import Recipe, read_recipe


def methods(recipe: Recipe, *names: str) -> dict[str, Recipe]:
    return {method.name: method.recipe for method in trained(recipe, names)}


def test_options(compare_file: Path) -> None:
    recipe = read_recipe(compare_file)
    found = methods(recipe, "gentle", "input", "noise-space", "oracle", "gentle", "start")
    # vanilla is always there; what is not trained, or named twice, is not
    assert list(found) == ["vanilla", "gentle", "noise-space", "oracle"]
    objectives = {name: resolved.objective for name, resolved in found.items()}
    assert objectives["vanilla"] == {"name": "vanilla", "value_range": "unit"}
    # the recipe's own objective as the recipe has it
    assert objectives["noise-space"] == recipe.objective
    assert objectives["gentle"] == {**recipe.objective, "weight": 0.01}
    assert objectives["oracle"]["name"] == "supervised"
    for name, resolved in found.items():
        assert resolved.data.validation is None
        assert resolved.compare is None
        # nobody but the oracle knows where the ground truth is
        assert bool(resolved.data.truth) == (name == "oracle")
    first = pretraining(recipe)
    assert (first.objective["name"], first.data.truth) == ("vanilla", [])


def test_training_and_network_of_a_method(compare_file: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "compare.training": {"learning_rate": 0.5},
        "compare.methods.gentle.training": {"learning_rate": 0.25},
        "compare.methods.own": {"name": "vanilla", "network": {"name": "unet", "width": 4}},
        "network.value_range": "signed",
        "training.start": tmp_path / "model",
        "training.devices": 4,
    }
    recipe = read_recipe(compare_file, changes)
    found = {method.name: method for method in trained(recipe, ["gentle", "own"])}
    rates = {name: method.recipe.training.learning_rate for name, method in found.items()}
    assert rates == {"vanilla": 0.5, "gentle": 0.25, "own": 0.5}
    assert pretraining(recipe).training.learning_rate == 0.01
    # in the value range of the network, as a recipe's own objective
    assert found["vanilla"].recipe.objective["value_range"] == "signed"
    assert found["own"].recipe.objective["value_range"] == "unit"
    assert found["own"].recipe.network["width"] == 4
    # a network of another kind cannot continue from the pretrained one
    assert (found["own"].from_start, found["own"].recipe.training.start) == (False, None)
    assert (found["gentle"].from_start, found["gentle"].recipe.network["width"]) == (True, 2)
    assert {method.recipe.training.devices for method in found.values()} == {1}


def test_noise_as_it_is_measured(compare_file: Path) -> None:
    folder = compare_file.parent / "gray"
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 10, (3, 128, 128, 3))
    for number, values in enumerate(128 + noise):
        images.write(folder / f"{number}.png", values.clip(0, 255).round().astype(np.uint8))
    real = {"data.real": folder, "data.truth": []}
    measured = {"compare.methods.measured": {"name": "vanilla", "degradation": "measured"}}
    found = methods(read_recipe(compare_file, {**real, **measured}), "measured")
    recipe = read_recipe(compare_file, real)
    assert found["vanilla"].degradation == recipe.degradation
    # the whole recipe likewise
    whole = read_recipe(compare_file, {**real, "degradation": "measured"}).degradation
    assert whole == found["measured"].degradation
    assert whole is not None
    assert whole["name"] == "matched"
    assert np.mean(whole["sigma"]) == pytest.approx(10, rel=0.15)
    with pytest.raises(DataError, match=r"--set data.real=FOLDER"):
        read_recipe(compare_file, {"degradation": "measured", "data.real": []})
    wrong = {"compare.methods.measured": {"name": "vanilla", "degradation": "hail"}}
    with pytest.raises(OptionError, match=r"'measured': .*'hail'"):
        methods(read_recipe(compare_file, wrong), "measured")


def test_enlarged_source_images(compare_file: Path) -> None:
    entry = {"name": "vanilla", "degradation": "gaussian", "enlarge": [1, 3]}
    recipe = read_recipe(compare_file, {"compare.methods.softer": entry})
    found = methods(recipe, "softer")
    assert found["softer"].data.enlarge == (1, 3)
    assert found["vanilla"].data.enlarge == recipe.data.enlarge == (1, 1)
    wrong = {"compare.methods.softer": {**entry, "enlarge": [0.5, 1]}}
    with pytest.raises(OptionError, match=r"'softer': data.enlarge.0: .*greater than"):
        methods(read_recipe(compare_file, wrong), "softer")


def test_an_objective_that_cannot_train_the_recipes_network(compare_file: Path) -> None:
    recipe = read_recipe(compare_file, {"network.value_range": "signed"})
    (method,) = trained(recipe, ["ap-bsn"])[1:]
    assert not method.from_start
    assert (method.recipe.network["name"], method.recipe.network["width"]) == ("blind-spot", 128)
    assert method.recipe.objective == {"name": "ap-bsn", "stride": 5, "value_range": "unit"}
    # another size, or all methods on that network
    small = {"compare.methods.ap-bsn.network": {"name": "blind-spot", "width": 8}}
    (method,) = trained(read_recipe(compare_file, small), ["ap-bsn"])[1:]
    assert (method.from_start, method.recipe.network["width"]) == (False, 8)
    blind = recipe.model_copy(update={"network": {"name": "blind-spot", "width": 4}})
    (method,) = trained(blind, ["ap-bsn"])[1:]
    assert (method.from_start, method.recipe.network["width"]) == (True, 4)


def test_missing_libraries_are_told_before_anything_is_trained(
    compare_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(compare_file)
    assert list(methods(recipe, "bm3d", "nlm")) == ["vanilla"]
    monkeypatch.setitem(sys.modules, "bm3d", None)
    assert list(methods(recipe, "nlm")) == ["vanilla"]
    with pytest.raises(OptionError, match=r"needs bm3d, .* 'noiseda\[classical\]'"):
        trained(recipe, ["bm3d"])


def test_denoisers_are_for_denoising_alone(compare_file: Path) -> None:
    rain = read_recipe(compare_file, {"task": "derain", "degradation": "rain"})
    assert not {"bm3d", "nlm"} & set(known(rain))
    with pytest.raises(OptionError, match=r"method 'nlm' removes noise alone, .* 'derain'"):
        trained(rain, ["nlm"])


def test_defaults(compare_file: Path) -> None:
    recipe = read_recipe(compare_file)
    assert default_names(recipe) == ["input", "start", "vanilla", "gentle", "oracle"]
    recipe = read_recipe(compare_file, {"compare": None, "data.truth": []})
    assert default_names(recipe) == ["input", "start", "vanilla", "noise-space"]
    assert set(known(recipe)) >= {"input", "start", "vanilla", "noise-space", "oracle"}
    assert set(known(recipe)) >= {"bm3d", "nlm", "dann", "ap-bsn"}


@pytest.mark.parametrize(
    ("name", "changes", "error", "words"),
    [
        ("noise-spce", {}, OptionError, "unknown method 'noise-spce'; did you mean 'noise-space'?"),
        ("gentel", {}, OptionError, "unknown method 'gentel'; did you mean 'gentle'?"),
        ("supervised", {}, OptionError, "'supervised'; it is called 'oracle'"),
        ("oracle", {"data.truth": []}, DataError, "'oracle' needs data.truth"),
        (
            "gentle",
            {"compare.methods.gentle.wieght": 1},
            OptionError,
            "method 'gentle': objective 'noise-space': unknown key 'wieght'; did you mean 'weight'",
        ),
        ("gentle", {"compare.methods.gentle.name": "gan"}, OptionError, "unknown objective 'gan'"),
        (
            "finetuned",
            {"compare.methods.finetuned": {"name": "supervised"}},
            OptionError,
            "'supervised' sees the ground truth of the real photos, which only the method 'oracle'",
        ),
        (
            "vanilla",
            {"compare.methods.vanilla": {"name": "noise-space"}},
            OptionError,
            "its objective is 'vanilla', not 'noise-space'",
        ),
        (
            "vanilla",
            {"compare.methods.vanilla": {"training": {"images": 5}}},
            OptionError,
            "training.images is the same for all methods",
        ),
        (
            "vanilla",
            {"compare.training": {"learning_rte": 5}},
            OptionError,
            "unknown key 'training.learning_rte'; did you mean 'learning_rate'?",
        ),
        (
            "vanilla",
            {"compare.methods.vanilla": {"training": 5}},
            OptionError,
            "expected training keys with values, got 5",
        ),
        ("vanilla", {"compare.methods.input": {}}, OptionError, "not a name for a method"),
        ("vanilla", {"compare.methods": {"a/b": {}}}, OptionError, "compare.methods.a/b: not a"),
    ],
)
def test_refused(
    compare_file: Path, name: str, changes: dict[str, Any], error: type[NoiseDAError], words: str
) -> None:
    recipe = read_recipe(compare_file, changes)
    with pytest.raises(error) as caught:
        trained(recipe, [name])
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_unknown_keys_of_the_section(compare_file: Path) -> None:
    with pytest.raises(OptionError, match=r"'compare\.method'; did you mean 'methods'"):
        read_recipe(compare_file, ["compare.method=a"])
