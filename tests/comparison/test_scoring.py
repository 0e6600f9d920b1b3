"""The images that methods are scored on, and that trainings must not see."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from noiseda import classical, degradations, images
from noiseda.checkpoint import TASKS
from noiseda.comparison.methods import UNTRAINED
from noiseda.comparison.scoring import HeldOut, without_training
from noiseda.errors import DataError, NoiseDAError, OptionError
from noiseda.evaluation import TASK_PROTOCOLS, evaluate, evaluate_folders, to_json
from noiseda.random import generator
from noiseda.training import read_recipe


def held_out(file: Path, **changes: Any) -> HeldOut:
    return HeldOut(read_recipe(file, changes))


def test_scores_are_those_of_evaluate(compare_file: Path) -> None:
    home = compare_file.parent / "held-out"
    found = held_out(compare_file)
    done: list[int] = []
    scores = found.scores(without_training(lambda image: image), lambda: done.append(1))
    assert scores["target"] == to_json(evaluate_folders(home / "noisy", home / "clean"))
    assert [image["name"] for image in scores["target"]["images"]] == ["p.png", "q.png"]
    assert len(done) == found.count == 4
    # two of three source images, with noise of the recipe's own kind that nobody rounded
    clean = {
        name: images.to_tensor(images.read_rgb8(compare_file.parent / "source" / name))
        for name in ("s1.png", "s2.png")
    }
    build = degradations.build("gaussian", sigma=(0, 50))
    noisy = {
        name: build(image, generator(0, number, "held-out source"))
        for number, (name, image) in enumerate(clean.items())
    }
    expected = evaluate((name, noisy[name], clean[name]) for name in clean)
    assert scores["source"] == to_json(expected)
    seen: list[Tensor] = []

    def look(image: Tensor) -> Tensor:
        seen.append(image)
        return image

    found.scores(without_training(look), lambda: None)
    for given, image in zip(seen[2:], noisy.values(), strict=True):
        assert torch.equal(given, image)
        assert not torch.equal(255 * given, (255 * given).round())
    assert (
        held_out(compare_file, **{"compare.source": []}).scores(look, lambda: None)["source"]
        is None
    )


def test_each_task_has_its_protocol(compare_file: Path) -> None:
    assert set(TASK_PROTOCOLS) == set(TASKS)
    home = compare_file.parent / "held-out"
    degradation = {"derain": "rain", "deblur": "motion-blur"}
    for task, name in degradation.items():
        found = held_out(compare_file, task=task, degradation=name)
        scores = found.scores(without_training(lambda image: image), lambda: None)
        assert found.protocol == {"derain": "y", "deblur": "rgb"}[task]
        expected = evaluate_folders(home / "noisy", home / "clean", found.protocol)
        assert scores["target"] == to_json(expected)
        assert scores["source"]["protocol"] == found.protocol


def test_classical_denoisers(compare_file: Path) -> None:
    """They get files as they are, and images of the source, and estimate the noise of each."""
    home = compare_file.parent / "held-out"
    scores = held_out(compare_file).scores(without_training(UNTRAINED["nlm"]), lambda: None)
    pixels = images.read(home / "noisy" / "p.png").pixels
    denoised = classical.nl_means(pixels.astype(np.float32) / 255)
    restored = torch.from_numpy(denoised).movedim(-1, 0)[None]
    expected = evaluate([("p.png", restored, images.read_rgb8(home / "clean" / "p.png"))])
    assert scores["target"]["images"][0] == to_json(expected)["images"][0]
    noisy = held_out(compare_file).scores(without_training(UNTRAINED["input"]), lambda: None)
    assert scores["source"]["mean"]["psnr"] > noisy["source"]["mean"]["psnr"] + 2


def test_scores_are_kept_until_the_images_change(compare_file: Path, tmp_path: Path) -> None:
    opened: list[int] = []

    def method() -> Any:
        opened.append(1)
        return without_training(lambda image: 0.5 * image)

    def kept(**changes: Any) -> dict[str, Any]:
        return held_out(compare_file, **changes).kept_scores(
            tmp_path / "scores.json", method, lambda: None
        )

    first = kept()
    assert kept() == kept(seed=5) == first
    assert len(opened) == 1
    # fewer images, another degradation, another image, a damaged file
    assert len(kept(**{"compare.source_images": 1})["source"]["images"]) == 1
    assert kept(**{"degradation.sigma": [5, 5]})["source"] != first["source"]
    assert kept() == first
    assert len(opened) == 4
    path = tmp_path / "held-out" / "clean" / "p.png"
    images.write(path, 255 - images.read_rgb8(path))
    assert kept()["target"] != first["target"]
    (tmp_path / "scores.json").write_text("{")
    kept()
    assert len(opened) == 6
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content.keys() == {"stamp", "target", "source"}


def test_refused(compare_file: Path) -> None:
    home = compare_file.parent

    def refused(error: type[NoiseDAError], **changes: Any) -> str:
        with pytest.raises(error) as caught:
            held_out(compare_file, **changes)
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    assert "set data.validation.degraded" in refused(OptionError, **{"data.validation": None})
    pairs = {"data.validation.clean": home / "truth"}
    assert "cannot pair the images" in refused(DataError, **pairs)
    # what is trained on tells nothing about images that are not
    source = {"compare.source": home / "clean"}
    assert "2 of the images to score are trained on too (a.png)" in refused(DataError, **source)
    (home / "link").mkdir()
    os.symlink(home / "held-out" / "noisy" / "q.png", home / "link" / "other.png")
    message = refused(DataError, **{"data.real": home / "link"})
    assert "1 of the images to score are trained on too (q.png)" in message
    assert "exclude" in message
    images.write(home / "held-out" / "clean" / "p.png", np.zeros((9, 9, 3), np.uint8))
    assert "p.png 26×24 but clean 9×9" in refused(DataError)
