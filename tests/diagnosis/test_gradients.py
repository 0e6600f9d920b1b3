"""Gradients on restored images, of predictors whose answer is known; levels, bands, statistics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from noiseda import networks
from noiseda.adaptation import charbonnier
from noiseda.diagnosis import (
    Levels,
    Samples,
    measure_gradients,
    noise_levels,
)
from noiseda.diagnosis.conditions import level_draws
from noiseda.diagnosis.gradients import bands, cosine
from noiseda.diagnosis.summary import statistics
from noiseda.diagnosis.verdict import verdict
from noiseda.diffusion import Schedule
from noiseda.random import generator
from tests.diagnosis.predictors import (
    COUNT,
    LEVELS,
    Gain,
    Pulls,
    build,
    diagnosed,
    samples,
    told,
)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("value_range", ["unit", "signed"])
def test_cosine_of_a_known_direction(direction: int, value_range: str) -> None:
    given = samples()
    # one batch, as the predictor knows its target
    given = Samples(
        given.target[:2],
        {domain: image[:2] for domain, image in given.degraded.items()},
        {domain: image[:2] for domain, image in given.clean.items()},
        given.photos[:2],
    )
    restored, clean = Gain()(given.degraded["real"]).detach(), given.clean["real"]
    goal = clean if direction == 1 else 2 * restored - clean
    objective = build(
        None, channel_shuffling=False, residual_swapping=False, value_range=value_range
    )
    objective.predictor = Pulls(objective.in_range(given.target), objective.in_range(goal))
    content, gradients = diagnosed(objective, given)
    for band in ("all", "low", "high"):
        expected = torch.full((len(LEVELS) + 1, 2), float(direction), dtype=torch.float64)
        torch.testing.assert_close(
            gradients.cosines["real"][band], expected, rtol=0, atol=1e-4, msg=band
        )
    # of mse(goal − restored): 2 · (goal − restored) / pixels, in [-1, 1] twice for each image
    scale = 4 if value_range == "signed" else 1
    size = scale * 2 * (goal - restored).flatten(1).norm(dim=1).double() / goal[0].numel()
    torch.testing.assert_close(
        gradients.norms["real"], size.expand(len(LEVELS) + 1, 2), rtol=1e-3, atol=0
    )
    assert not gradients.norms["synthetic"].any()
    # the error's own split, and the weight that a step on it changes
    torch.testing.assert_close(gradients.low["real"][0], gradients.errors_low["real"][0])
    through = gradients.weights_cosines["through real, truth"]
    assert through.sign().eq(direction).all()
    word = {1: "toward the clean", -1: "away from the clean"}[direction]
    assert word in told(content, "A step on real images")


class Replay:
    """The diagnosis's draws, as training asks for them."""

    def __init__(self, t: int, noise: Tensor, *coins: Tensor | None) -> None:
        self.t, self.noise = t, noise
        self.coins = iter([coin for coin in coins if coin is not None])

    def randint(self, low: int, high: int) -> Tensor:
        return torch.full((len(self.noise),), self.t)

    def rand(self, *shape: int) -> Tensor:
        # the end of the interval is the level itself
        return torch.ones(len(self.noise), 1) if shape else next(self.coins).float()

    def randn(self, *shape: int) -> Tensor:
        return self.noise


@pytest.mark.parametrize("residual_swapping", [True, False])
def test_gradients_are_those_of_a_training_step(residual_swapping: bool) -> None:
    given, t = samples(), 600
    objective = build(residual_swapping=residual_swapping)
    restorer = networks.build("unet", width=4, depth=2, upsampling="half-pixel")
    gammas = objective.schedule.gammas[t : t + 1]
    levels = Levels(gammas, torch.ones(1, dtype=torch.float64))
    found = measure_gradients(restorer, objective, given, levels, 3, COUNT)

    draws = level_draws(objective, 3, 0, list(range(COUNT)), given.target)
    kept: list[Tensor] = []

    def keeping(degraded: Tensor) -> Tensor:
        kept.append(restorer(degraded))
        kept[0].retain_grad()
        return kept[0]

    class Keeping(nn.Module):
        def forward(self, degraded: Tensor) -> Tensor:
            return keeping(degraded)

    batch = {**given.degraded, "clean": given.clean["synthetic"]}
    restorer.zero_grad()
    terms = objective(Keeping(), batch, random=Replay(t, *draws))
    terms["diffusion"].backward(retain_graph=True)
    gradient = kept[0].grad
    assert gradient is not None
    synthetic, real = (COUNT * part.flatten(1).norm(dim=1).double() for part in gradient.chunk(2))
    vector = torch.cat([w.grad.flatten() for w in restorer.parameters() if w.grad is not None])
    # one level is the whole training
    for row in (0, 1):
        torch.testing.assert_close(found.norms["synthetic"][row], synthetic, rtol=1e-4, atol=0)
        torch.testing.assert_close(found.norms["real"][row], real, rtol=1e-4, atol=0)
        size = float(found.weights["diffusion"][row])
        assert size == pytest.approx(float(vector.norm()), rel=1e-4)

    restorer.zero_grad()
    terms["restoration"].backward()
    own = torch.cat([w.grad.flatten() for w in restorer.parameters() if w.grad is not None])
    assert float(found.weights["restoration"]) == pytest.approx(float(own.norm()), rel=1e-4)
    expected = float(cosine(vector[None], own[None]))
    assert float(found.weights_cosines["diffusion, restoration"][0]) == pytest.approx(
        expected, abs=1e-4
    )
    restorer.zero_grad()
    charbonnier(restorer(given.degraded["real"]), given.clean["real"]).backward()
    truth = torch.cat([w.grad.flatten() for w in restorer.parameters() if w.grad is not None])
    assert float(found.weights_cosines["diffusion, truth"][0]) == pytest.approx(
        float(cosine(vector[None], truth[None])), abs=1e-4
    )


def test_without_ground_truth() -> None:
    content, gradients = diagnosed(build(), samples(truth=False))
    assert content["conditions"]["errors"]["every"].keys() == {"restored", "degraded"}
    assert content["conditions"]["use"].keys() == {"synthetic", "real"}
    assert gradients.cosines.keys() == {"synthetic"}
    assert gradients.weights_cosines.keys() == {"diffusion, restoration"}
    assert gradients.norms["real"].gt(0).all()
    lines = verdict(content)
    assert lines[0].startswith("No ground truth")
    assert not [line for line in lines if "toward" in line]


def test_the_batch_changes_no_sample_of_an_objective_without_triplet() -> None:
    objective, given = build(residual_swapping=False), samples()
    one, all_ = (measure_gradients(Gain(), objective, given, LEVELS, 0, b) for b in (1, COUNT))
    for domain in ("synthetic", "real"):
        torch.testing.assert_close(one.norms[domain], all_.norms[domain], rtol=1e-4, atol=0)
    torch.testing.assert_close(one.restoration, all_.restoration)


# --- levels, bands, statistics ----------------------------------------------------------------


def test_levels_cover_what_training_draws() -> None:
    schedule = Schedule()
    levels = noise_levels(schedule, (1, 1000))
    assert len(levels) == 12
    assert float(levels.gammas[0]) == pytest.approx(float(schedule.gammas[0]), rel=1e-6)
    assert float(levels.gammas[-1]) == pytest.approx(float(schedule.gammas[-1]), rel=1e-4)
    steps = levels.ratios.log().diff()
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), rtol=0.02, atol=0)
    # a mean with the shares is the training's, up to the distance of the levels
    assert float(levels.shares.sum()) == pytest.approx(1)
    drawn = (schedule.gammas[:-1] + schedule.gammas[1:]).double() / 2
    for function in (torch.sqrt, torch.log):
        expected, found = float(function(drawn).mean()), function(levels.gammas.double())
        assert float(levels.shares @ found) == pytest.approx(expected, abs=0.05)
    narrow = noise_levels(schedule, (900, 1000), 4)
    assert float(narrow.gammas.max()) <= float(schedule.gammas[899]) * 1.0001
    assert narrow.shares.gt(0).all()


def test_bands_are_orthogonal() -> None:
    image = torch.rand(2, 3, 8, 12, generator=generator(0))
    parts = bands(image)
    torch.testing.assert_close(parts["low"] + parts["high"], image)
    assert (parts["low"] * parts["high"]).sum().abs() < 1e-4
    torch.testing.assert_close(parts["low"][:, :, :4, 4:8].flatten(2).std(-1), torch.zeros(2, 3))
    torch.testing.assert_close(bands(parts["low"])["low"], parts["low"])


def test_statistics() -> None:
    values = torch.tensor([1.0, 3.0, float("nan"), 8.0], dtype=torch.float64)
    found = statistics(values)
    assert found["mean"] == pytest.approx(4)
    # √(((−3)² + (−1)² + 4²) / 2 / 3)
    assert found["standard_error"] == pytest.approx((26 / 6) ** 0.5)
    assert found["count"] == 3
    assert statistics(values[:1]) == {"count": 1, "mean": 1, "standard_error": None}
    assert statistics(values[2:3]) == {"count": 0, "mean": None, "standard_error": None}
