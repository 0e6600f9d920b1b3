"""What is measured, on predictors that are made so that the answer is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda import adaptation, networks
from noiseda.adaptation import NoiseSpace, charbonnier
from noiseda.diagnosis import (
    Levels,
    Samples,
    measure_conditions,
    measure_gradients,
    noise_levels,
)
from noiseda.diagnosis.conditions import level_draws
from noiseda.diagnosis.gradients import Gradients, bands, cosine
from noiseda.diagnosis.plots import page
from noiseda.diagnosis.summary import condition_tables, gradient_tables, statistics
from noiseda.diagnosis.verdict import verdict
from noiseda.diffusion import Schedule
from noiseda.random import generator

TINY = {"base": 4, "multipliers": (1, 2), "blocks": 1, "head_channels": 4}
COUNT = 5


class Gain(nn.Module):
    """A restoration network of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.8))

    def forward(self, degraded: Tensor) -> Tensor:
        return self.gain * degraded


class Sees(nn.Module):
    """A predictor that returns one part of its input: ỹ, the first or the second condition."""

    size_multiple = 1

    def __init__(self, part: int) -> None:
        super().__init__()
        self.part = part

    def forward(self, images: Tensor, gamma: Tensor) -> Tensor:
        return images.unflatten(1, (-1, 3))[:, self.part]


class Blind(nn.Module):
    """A predictor that looks at nothing."""

    size_multiple = 1

    def forward(self, images: Tensor, gamma: Tensor) -> Tensor:
        return torch.zeros_like(images[:, :3]).detach()


class Pulls(nn.Module):
    """A predictor that knows the noise and errs by the real condition's distance from a goal."""

    size_multiple = 1

    def __init__(self, target: Tensor, goal: Tensor) -> None:
        super().__init__()
        self.target, self.goal = target, goal

    def forward(self, images: Tensor, gamma: Tensor) -> Tensor:
        gamma = gamma.view(-1, 1, 1, 1)
        noise = (images[:, :3] - gamma.sqrt() * self.target) / (1 - gamma).sqrt()
        return noise + (images[:, 6:9] - self.goal)


def build(predictor: nn.Module | None = None, **options: Any) -> NoiseSpace:
    """A noise-space objective, its networks' weights not those of a fresh one, which predicts 0."""
    torch.manual_seed(1)
    objective = adaptation.build("noise-space", predictor=TINY, **options)
    assert isinstance(objective, NoiseSpace)
    for parameter in objective.parameters():
        nn.init.normal_(parameter, std=0.2)
    if predictor is not None:
        objective.predictor = predictor
    return objective.requires_grad_(False).eval()


def samples(truth: bool = True) -> Samples:
    def image(name: str) -> Tensor:
        return torch.rand(COUNT, 3, 8, 8, generator=generator(0, 0, name))

    clean = {"synthetic": image("clean"), **({"real": image("truth")} if truth else {})}
    degraded = {"synthetic": image("synthetic"), "real": image("real")}
    return Samples(clean["synthetic"], degraded, clean, [f"{i}.png" for i in range(COUNT)])


LEVELS = noise_levels(Schedule(), (200, 1000), 3)


def diagnosed(objective: NoiseSpace, given: Samples) -> tuple[dict[str, Any], Gradients]:
    """The tables, as in the JSON file, and the gradients they are from."""
    restorer = Gain()
    restored = {domain: restorer(image).detach() for domain, image in given.degraded.items()}
    errors = measure_conditions(objective, given, restored, LEVELS, 0, 2)
    gradients = measure_gradients(restorer, objective, given, LEVELS, 0, 2)
    content = {
        "ground_truth": given.has_truth,
        "weight": 0.2,
        "levels": {
            "gamma": LEVELS.gammas.tolist(),
            "noise_ratio": LEVELS.ratios.tolist(),
            "share": LEVELS.shares.tolist(),
        },
        "conditions": condition_tables(errors, LEVELS),
        "gradients": gradient_tables(gradients),
    }
    return content, gradients


def told(content: dict[str, Any], word: str) -> str:
    """The one line of the verdict with this word."""
    (line,) = [line for line in verdict(content) if word in line]
    return line


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
