"""What is said about a folder's noise and a model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from noiseda.degradations import build
from noiseda.errors import OptionError
from noiseda.images import to_pixels, to_tensor
from noiseda.measurement import Noise, matched_options, measure, novelty
from noiseda.measurement.advice import has_mean, known
from noiseda.random import generator
from tests.measurement.conftest import as_photo, correlated, white

GAUSSIAN: dict[str, Any] = {"name": "gaussian", "sigma": [0, 50]}


def recipe(degradation: dict[str, Any], objective: str = "vanilla") -> dict[str, Any]:
    return {"degradation": degradation, "objective": {"name": objective}}


def flat(noise: np.ndarray) -> Noise:
    return measure(as_photo(128 + noise))


@pytest.mark.parametrize("clamp", [False, True])
def test_gaussian_noise_is_known(clamp: bool) -> None:
    found = known({**GAUSSIAN, "sigma": [10, 40], "clamp": clamp})
    assert found.sigma == pytest.approx((10, 40), abs=2.5)
    assert found.neighbours == pytest.approx((0, 0), abs=0.04)
    assert known({**GAUSSIAN, "sigma": [10, 40], "clamp": clamp}) == found
    silent = known({"name": "gaussian", "sigma": [0, 0]})
    assert (silent.sigma, silent.neighbours) == ((0, 0), (0, 0))


def test_other_noise_is_known() -> None:
    camera = known({"name": "camera"})
    # its noise is cut off and developed with a concave curve; white noise has no mean
    assert camera.offset < -0.4
    assert abs(known({**GAUSSIAN, "sigma": [0, 75]}).offset) < 0.1
    assert has_mean({"name": "mixture", "parts": [GAUSSIAN, {"name": "camera"}]})
    # also where most of the noise has none
    assert has_mean({"name": "mixture", "parts": [GAUSSIAN] * 9 + [{"name": "camera"}]})
    assert not has_mean({"name": "mixture", "parts": [GAUSSIAN, GAUSSIAN]})
    assert not any(has_mean(other) for other in (GAUSSIAN, {"name": "gausian"}, {}, "camera", None))
    assert camera.neighbours[0] > 0.3
    assert camera.sigma[0] < 5 < 25 < camera.sigma[1]
    noise = measure([as_photo(128 + 9 * correlated(seed)) for seed in range(3)])
    again = known({"name": "matched", **matched_options(noise)})
    assert again.sigma == pytest.approx([noise.overall] * 2, rel=0.07)
    assert again.neighbours == pytest.approx([noise.neighbours] * 2, abs=0.06)
    with pytest.raises(OptionError, match="gausian"):
        known({"name": "gausian"})


def test_known_noise_is_called_known() -> None:
    strength, grain = novelty(flat(10 * white(1)), recipe(GAUSSIAN))
    assert "σ 10" in strength
    assert "within the strengths" in strength
    assert "gaussian, σ about 1 to 49" in strength
    assert "known to the model" in grain


@pytest.mark.parametrize(("sigma", "word"), [(20.0, "above"), (4.0, "below"), (10.0, "within")])
def test_strength(sigma: float, word: str) -> None:
    told = novelty(flat(sigma * white(2)), recipe({"name": "gaussian", "sigma": [7, 15]}))
    assert f"is {word} the strengths" in told[0]
    assert "known to the model" in told[1]


def test_grain() -> None:
    coarse = flat(10 * correlated(3))
    assert "coarser than any" in novelty(coarse, recipe(GAUSSIAN))[1]
    matched = {"name": "matched", **matched_options(coarse)}
    assert "known to the model" in novelty(coarse, recipe(matched))[1]
    assert "finer than any" in novelty(flat(10 * white(4)), recipe(matched))[1]


def test_nothing_to_gain() -> None:
    faint = novelty(flat(white(5)), recipe(GAUSSIAN))
    assert "unlikely to help" in faint[0]
    assert "grain" not in " ".join(faint)
    assert "unlikely" not in " ".join(novelty(flat(5 * white(5)), recipe(GAUSSIAN)))


@pytest.mark.parametrize("said", [None, {}, {"name": "old"}, {"degradation": None}])
def test_models_that_say_nothing(said: dict[str, Any] | None) -> None:
    told = novelty(flat(10 * white(6)), said)
    assert told == ["The model's file does not say what noise it was trained on."]


def test_what_cannot_be_told() -> None:
    assert "large enough" in novelty(None, recipe(GAUSSIAN))[0]
    told = novelty(flat(10 * white(7)), recipe({"name": "fog"}))
    assert len(told) == 1
    assert "fog" in told[0]
    adapted = novelty(flat(10 * white(7)), recipe(GAUSSIAN, "noise-space"))
    assert "noise-space" in adapted[-1]
    assert len(adapted) == 3


def test_real_photos(shared: Callable[..., list[np.ndarray]]) -> None:
    """Texture and denoised photos give rough figures, which is said; RENOIR's are not rough."""
    renoir = novelty(measure(shared("renoir/noisy", 4)), recipe(GAUSSIAN))
    assert "within" in renoir[0]
    assert "coarser" in renoir[1]
    polyu = novelty(measure(shared("polyu/noisy", 10)), recipe(GAUSSIAN))
    assert "rough" in polyu[0]
    assert "cannot be told" in polyu[2]
    clean = shared("bsds500/val", 10)
    assert any("rough" in sentence for sentence in novelty(measure(clean), recipe(GAUSSIAN)))
    degrade = build("gaussian", sigma=(20, 20))
    noisy = [degrade(to_tensor(photo), generator(0, i)) for i, photo in enumerate(clean)]
    told = novelty(measure(map(to_pixels, noisy)), recipe(GAUSSIAN))
    assert "within" in told[0]
    assert "known" in told[1]
