"""Which conditions a predictor uses, on predictors made so that the answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from noiseda.diagnosis import (
    measure_conditions,
)
from noiseda.diagnosis.conditions import level_draws
from noiseda.diagnosis.plots import page
from noiseda.diagnosis.verdict import verdict
from tests.diagnosis.predictors import (
    COUNT,
    LEVELS,
    Blind,
    Sees,
    build,
    diagnosed,
    samples,
    told,
)

# --- does the predictor use its conditions ----------------------------------------------------


@pytest.mark.parametrize(("part", "used", "ignored"), [(1, "synthetic", "real"), (2, "real", None)])
def test_a_predictor_that_uses_one_slot(part: int, used: str, ignored: str | None) -> None:
    ignored = ignored or "synthetic"
    content, gradients = diagnosed(build(Sees(part), channel_shuffling=False), samples())
    use = content["conditions"]["use"]
    for curve in use[ignored].values():
        assert curve["mean"] == [0, 0, 0]
        assert curve["training"] == {"count": COUNT, "mean": 0, "standard_error": 0}
    # the mean square of the condition is gone
    assert use[used]["zeros"]["training"]["mean"] < -0.05
    assert f"ignores the {ignored} condition" in told(content, f"the {ignored} condition")
    assert f"uses the {used} condition" in told(content, f"the {used} condition")
    alone = content["conditions"]["change"]["real"]["clean"]
    every = content["conditions"]["change"]["every"]["clean"]
    assert alone["mean"] == ([0, 0, 0] if ignored == "real" else every["mean"])
    assert any(every["mean"])
    # what the triplet term sends through the other residual comes to both
    assert gradients.norms[used].gt(0).all()


def test_errors_are_paired_and_by_hand() -> None:
    """With the same noise for all kinds, and the shuffling of training."""
    given, objective = samples(), build(Sees(1))
    restored = {domain: image * 0.5 for domain, image in given.degraded.items()}
    errors = measure_conditions(objective, given, restored, LEVELS, 7, COUNT)
    for level in range(len(LEVELS)):
        noise, coins, _ = level_draws(objective, 7, level, list(range(COUNT)), given.target)
        assert coins is not None
        images = {"clean": given.clean, "restored": restored, "degraded": given.degraded}
        images["wrong"] = {domain: image.roll(1, 0) for domain, image in given.clean.items()}
        for kind, filled in images.items():
            first = torch.where(coins.view(-1, 1, 1, 1), filled["real"], filled["synthetic"])
            expected = (first - noise).double().square().mean((1, 2, 3))
            torch.testing.assert_close(errors["every"][kind][level], expected)
        swapped = {**restored, "real": images["wrong"]["real"]}
        first = torch.where(coins.view(-1, 1, 1, 1), swapped["real"], swapped["synthetic"])
        expected = (first - noise).double().square().mean((1, 2, 3))
        torch.testing.assert_close(errors["real"]["wrong"][level], expected)


@pytest.mark.parametrize("condition", ["synthetic", "real"])
def test_one_condition_alone(condition: str) -> None:
    content, gradients = diagnosed(build(conditions=condition, residual_swapping=False), samples())
    assert content["conditions"]["use"].keys() == {condition}
    assert ("real" in content["conditions"]["change"]) == (condition == "real")
    other = {"synthetic": "real", "real": "synthetic"}[condition]
    assert gradients.norms[condition].gt(0).all()
    assert not gradients.norms[other].any()
    assert verdict(content)


# --- gradients --------------------------------------------------------------------------------


@pytest.mark.parametrize("predictor", [Blind(), Sees(0)])
def test_a_predictor_that_ignores_all_conditions(predictor: nn.Module) -> None:
    content, gradients = diagnosed(build(predictor), samples())
    for domain in ("synthetic", "real"):
        assert not gradients.norms[domain].any()
        assert gradients.low[domain].isnan().all()
        assert all(rows.isnan().all() for rows in gradients.cosines[domain].values())
        assert f"ignores the {domain} condition" in told(content, f"the {domain} condition")
    assert not gradients.weights["diffusion"].any()
    curve = content["gradients"]["images"]["cosine_toward_clean"]["real"]["all"]
    assert curve["mean"] == [None, None, None]
    assert curve["training"] == {"count": 0, "mean": None, "standard_error": None}
    assert told(content, "none reaches the restored real images")
    assert not [line for line in verdict(content) if "step" in line]
    # also what is undefined everywhere can be drawn
    about = {"run": "blind", "network": "raw", "step": 1, "images": COUNT, "patch": 8, "seed": 0}
    about |= {"photos": ["0.png"], "verdict": verdict(content)}
    assert page(content | about).startswith(b"\x89PNG")
