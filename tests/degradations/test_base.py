"""What holds for every degradation."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from noiseda.degradations import DEGRADATIONS, Degradation, build
from noiseda.errors import OptionError
from tests.degradations.conftest import examples, picture, seeded, seeds

MATCHED: dict[str, Any] = {
    "brightness": (0.1, 0.4, 0.9),
    "sigma": ((2, 1, 3), (8, 5, 7), (20, 12, 15)),
    "correlation": (((0.05, 0.2, 0.1), (0.4, 1, 0.4), (0.1, 0.2, 0.05)),),
    "color": ((1, 0.3, 0.1), (0.3, 1, 0.2), (0.1, 0.2, 1)),
    "scale": (0.5, 2),
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("gaussian", {}),
    ("gaussian", {"sigma": (5, 25), "clamp": True}),
    ("gaussian", {"sigma": (5, 25), "grain": (0, 1.5)}),
    ("camera", {}),
    ("camera", {"demosaic": "malvar", "artifacts": True, "strength": 3}),
    ("camera", {"jpeg": (30, 95), "tone": (0, 0)}),
    ("matched", {}),
    ("matched", MATCHED),
    ("rain", {}),
    ("rain", {"haze": (0, 0.5), "layers": (1, 1), "blend": "screen", "density": (0.2, 0.4)}),
    ("motion-blur", {}),
    ("motion-blur", {"path": "curved", "highlights": (1, 9), "noise": (1, 9)}),
    ("mixture", {"parts": [{"name": "gaussian", "clamp": True}, {"name": "camera"}]}),
]


variants = st.sampled_from(VARIANTS)


def test_names() -> None:
    assert {"gaussian", "camera", "matched", "mixture", "motion-blur", "rain"} == set(
        DEGRADATIONS.names
    )


@examples
@given(variants, st.integers(1, 9), st.integers(1, 9), st.sampled_from([None, 0, 1, 3]), seeds)
def test_any_size_gives_the_same_shape(
    variant: tuple[str, dict[str, Any]], height: int, width: int, batch: int | None, seed: int
) -> None:
    name, options = variant
    clean = picture(height, width)
    if batch is not None:
        clean = clean.expand(batch, -1, -1, -1)
    before = clean.clone()
    result = build(name, **options)(clean, seeded(seed))
    assert result.shape == clean.shape
    assert result.dtype == torch.float32
    assert result.isfinite().all()
    assert torch.equal(clean, before)
    if name in ("camera", "rain", "motion-blur") or options.get("clamp"):
        assert ((result >= 0) & (result <= 1)).all()


@examples
@given(variants, st.permutations(range(4)))
def test_order_of_calls_does_not_matter(
    variant: tuple[str, dict[str, Any]], order: list[int]
) -> None:
    name, options = variant
    degradation = build(name, **options)
    images = [picture(11 + i, 14, seed=i) for i in range(4)]
    expected = [build(name, **options)(image, seeded(i)) for i, image in enumerate(images)]
    for i in order:
        torch.rand(i + 1)  # the global generator plays no part
        assert torch.equal(degradation(images[i], seeded(i)), expected[i])


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_same_seed_same_pixels(name: str, options: dict[str, Any]) -> None:
    degradation = build(name, **options)
    clean = picture(24, 31)
    expected = degradation(clean, seeded(1))
    global_state = torch.get_rng_state()
    assert torch.equal(degradation(clean, seeded(1)), expected)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert not torch.equal(degradation(clean, seeded(2)), expected)
    strided = clean.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(degradation(strided, seeded(1)), expected)
    sent: Degradation = pickle.loads(pickle.dumps(degradation))
    assert torch.equal(sent(clean, seeded(1)), expected)
    source = seeded(1)
    assert not torch.equal(degradation(clean, source), degradation(clean, source))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_batch_draws_like_single_calls(name: str, options: dict[str, Any]) -> None:
    degradation = build(name, **options)
    batch = torch.stack([picture(16, 13, seed=i) for i in range(5)])
    source = seeded(7)
    one_by_one = torch.stack([degradation(image, source) for image in batch])
    together = degradation(batch, seeded(7))
    # rounding may tip a value over to the next of the 255 steps before JPEG
    tolerance = 0.05 if "jpeg" in options else 1e-5
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("gausian", {}, "did you mean 'gaussian'"),
        ("gaussian", {"sigm": (0, 5)}, "did you mean 'sigma'"),
        ("gaussian", {"sigma": (50, 10)}, "low 50 is above high 10"),
        ("gaussian", {"sigma": (-1, 10)}, "sigma.0"),
        ("gaussian", {"sigma": (0, 256)}, "sigma.1"),
        ("gaussian", {"sigma": (float("nan"), 10)}, "sigma.0"),
        ("gaussian", {"sigma": 25}, "sigma"),
        ("camera", {"shot": (0, 0.01)}, "low above 0"),
        ("camera", {"read": (0.1, 0.01)}, "low 0.1 is above high 0.01"),
        ("camera", {"red_gain": (0.5, 2)}, "red_gain.0"),
        ("camera", {"strength": -1}, "strength"),
        ("camera", {"demosaic": "ahd"}, "'malvar' or 'bilinear'"),
        ("camera", {"jpeg": (90, 50)}, "low 90 is above high 50"),
        ("camera", {"jpeg": (0, 50)}, "jpeg"),
        ("matched", {"brightness": (0.5, 0.2)}, "do not increase"),
        ("matched", {"brightness": (0.2, 0.5)}, "1 rows of sigma for 2 brightnesses"),
        ("matched", {"sigma": ((1, 2),)}, "sigma.0"),
        ("matched", {"correlation": (((1, 0), (0, 1)),)}, "one odd number of rows"),
        ("matched", {"correlation": (((1,),),) * 3}, "one or nine square tables"),
        ("matched", {"correlation": (((0.9,),),)}, "middle of a table is 0.9"),
        (
            "matched",
            {
                "correlation": (((1,),), *[((0,),)] * 3) * 2 + (((1,),),),
                "color": ((1, 0.5, 0), (0.5, 1, 0), (0, 0, 1)),
            },
            "leave color out",
        ),
        ("matched", {"color": ((1, 2, 0), (2, 1, 0), (0, 0, 1))}, "color.0.1"),
        ("matched", {"scale": (0, 1)}, "low above 0"),
        ("rain", {"lenght": (5, 9)}, "did you mean 'length'"),
        ("rain", {"length": (0, 9)}, "length.0"),
        ("rain", {"angle": (-90, 0)}, "angle.0"),
        ("rain", {"density": (0, 0.1)}, "low above 0"),
        ("rain", {"layers": (3, 1)}, "low 3 is above high 1"),
        ("rain", {"blend": "multiply"}, "'random', 'add' or 'screen'"),
        ("motion-blur", {"length": (30, 3)}, "low 30 is above high 3"),
        ("motion-blur", {"path": "zigzag"}, "'random', 'linear' or 'curved'"),
        ("motion-blur", {"highlights": (0.5, 2)}, "highlights.0"),
        ("motion-blur", {"noise": 3}, "noise"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        build(name, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("clean", "words"),
    [
        (torch.zeros(1, 8, 8), "(1, 8, 8)"),
        (torch.zeros(8, 8), "(8, 8)"),
        (torch.zeros(2, 3, 0, 8), "(2, 3, 0, 8)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "torch.uint8"),
    ],
)
def test_wrong_images_are_named(clean: Tensor, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        build("gaussian")(clean, seeded(0))
    assert words in str(caught.value)
