"""Objectives: values by hand, where gradients flow, and what each option changes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda import adaptation, networks
from noiseda.errors import DataError, OptionError
from noiseda.random import BatchRandom, generator

TINY = {"base": 4, "multipliers": (1, 2), "blocks": 1, "head_channels": 4, "dropout": 0.0}


def build(**options: Any) -> Any:
    """A noise-space objective whose predictor already looks at its input: fresh ones predict 0."""
    predictor = {**TINY, **options.pop("predictor", {})}
    torch.manual_seed(1)
    objective = adaptation.build("noise-space", predictor=predictor, **options)
    for parameter in objective.parameters():
        if not parameter.detach().any():
            nn.init.normal_(parameter, std=0.2)
    return objective


def batch(count: int = 2, seed: int = 0) -> dict[str, Tensor]:
    roles = ("clean", "synthetic", "real", "unpaired")
    return {r: torch.rand(count, 3, 8, 8, generator=generator(seed, 0, r)) for r in roles}


def draws(count: int = 2, seed: int = 0) -> BatchRandom:
    return BatchRandom.for_samples(seed, range(count), "objective")


class Restored(nn.Module):
    """Instead of a network: keeps what it returned, so that its gradient can be looked at."""

    def __init__(self, gain: float = 0.5) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, degraded: Tensor) -> Tensor:
        self.output = self.gain * degraded
        self.output.retain_grad()
        return self.output

    def gradients(self) -> tuple[float, float]:
        """Largest gradient that reached the restored synthetic and the restored real image."""
        assert self.output.grad is not None
        synthetic, real = self.output.grad.chunk(2)
        return float(synthetic.abs().max()), float(real.abs().max())


class Seen(nn.Module):
    """A predictor that remembers its input and returns part of it, so it has a gradient."""

    size_multiple = 1

    def forward(self, images: Tensor, gamma: Tensor) -> Tensor:
        self.images, self.gamma = images.detach(), gamma
        return images[:, 3:6] * 0.3 + images[:, -3:] * 0.1


# --- vanilla ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("value_range", "scale"), [("unit", 1), ("signed", 2)])
def test_vanilla_by_hand(value_range: str, scale: int) -> None:
    images = {"clean": torch.full((2, 3, 4, 4), 0.3), "synthetic": torch.full((2, 3, 4, 4), 0.8)}
    images["clean"][0] = 0.4
    terms = adaptation.build("vanilla", value_range=value_range)(Restored(), images)
    # restored 0.4 everywhere: no error in the first image, 0.1 in the second
    expected = (0.001 + math.sqrt((0.1 * scale) ** 2 + 1e-6)) / 2
    assert terms.keys() == {"loss", "restoration"}
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-5)


# --- noise-space ------------------------------------------------------------------------------


def test_all_terms_by_hand() -> None:
    objective, restorer, images = build(), Restored(), batch()
    objective.predictor = Seen()
    terms = objective(restorer, images, progress=0.3, random=draws())
    random = draws()
    step, position = random.randint(1, 1000), random.rand(1)
    gammas = torch.cumprod(1 - torch.linspace(1e-6, 1e-2, 1000, dtype=torch.float64), 0).float()
    gamma = gammas[step - 1] + (gammas[step] - gammas[step - 1]) * position[:, 0]
    gamma = gamma.view(-1, 1, 1, 1)
    noise = random.randn(3, 8, 8)
    noisy = gamma.sqrt() * images["clean"] + (1 - gamma).sqrt() * noise
    synthetic, real = 0.5 * images["synthetic"], 0.5 * images["real"]
    negatives = [images["synthetic"] + real - images["real"]]
    negatives += [images["real"] + synthetic - images["synthetic"]]
    errors = []
    for first, second in ([synthetic, real], negatives):
        coins = (random.rand() > 0.5).view(-1, 1, 1, 1)
        slots = [torch.where(coins, second, first), torch.where(coins, first, second)]
        errors.append((0.3 * slots[0] + 0.1 * slots[1] - noise).square().mean())
        where = slice(0, 2) if len(errors) == 1 else slice(2, 4)
        seen = objective.predictor.images[where]
        torch.testing.assert_close(seen, torch.cat([noisy, *slots], dim=1))
    restoration = ((synthetic - images["clean"]).square() + 1e-6).sqrt().mean()
    triplet = (errors[0] - errors[1] + 0.1).clamp(min=0)
    weight = 0.2 * (2 / (1 + math.exp(-5 * 0.3)) - 1)
    expected = {
        "restoration": restoration,
        "noise": errors[0],
        "noise_negative": errors[1],
        "triplet": triplet,
        "diffusion": (errors[0] + triplet) / 2,
        "weight": torch.tensor(weight),
        "loss": restoration + weight * (errors[0] + triplet) / 2,
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)


@pytest.mark.parametrize("condition", ["both", "synthetic", "real"])
def test_gradient_reaches_the_restorer_through_the_conditions(condition: str) -> None:
    objective = build(conditions=condition, residual_swapping=False)
    first = objective.predictor.input_blocks[0][0]
    assert first.in_channels == (9 if condition == "both" else 6)
    restorer = Restored()
    objective(restorer, batch(), random=draws())["diffusion"].backward()
    synthetic, real = restorer.gradients()
    assert (synthetic > 0) == (condition != "real")
    assert (real > 0) == (condition != "synthetic")
    assert first.weight.grad.abs().max() > 0


@pytest.mark.parametrize("slot", [0, 1])
def test_gradient_flows_through_both_negatives(slot: int) -> None:
    objective, images = build(channel_shuffling=False), batch()
    restored = [images[role].requires_grad_() for role in ("synthetic", "real")]
    apart = {name: torch.rand(2, 3, 8, 8) for name in ("synthetic", "real")}
    negatives = dict(zip(("synthetic", "real"), restored, strict=True))
    objective.noise_terms(images["clean"], apart, negatives, draws())["diffusion"].backward()
    gradient = restored[slot].grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_every_weight_of_a_real_restorer_learns_from_diffusion_alone() -> None:
    restorer = networks.build("unet", width=4, depth=2)
    objective = build()
    objective(restorer, batch(), random=draws())["diffusion"].backward()
    for part in (restorer, objective.predictor):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def slots(seed: int, **options: Any) -> Tensor:
    """For each of 16 samples, whether the predictor saw the synthetic image first."""
    objective, images = build(residual_swapping=False, **options), batch(16)
    objective.predictor = Seen()
    objective(Restored(), images, random=draws(16, seed))
    return (objective.predictor.images[:, 3:6] == 0.5 * images["synthetic"]).flatten(1).all(1)


def test_channel_shuffling() -> None:
    shuffled = slots(0)
    assert 2 < int(shuffled.sum()) < 14
    assert not torch.equal(shuffled, slots(1))
    assert slots(0, channel_shuffling=False).all()
    assert slots(1, channel_shuffling=False).all()


def test_residual_swapping_off() -> None:
    terms = build(residual_swapping=False)(Restored(), batch(), random=draws())
    assert terms.keys() == {"restoration", "noise", "diffusion", "weight", "loss"}
    assert terms["diffusion"] == terms["noise"]
    # the other terms are those of the full objective: its extra draws come last
    full = build()(Restored(), batch(), random=draws())
    torch.testing.assert_close(full["noise"], terms["noise"])


def test_margin() -> None:
    near, far = (build(margin=m)(Restored(), batch(), random=draws()) for m in (0.5, 0.75))
    assert (far["triplet"] - near["triplet"]).item() == pytest.approx(0.25, abs=1e-6)


def test_unpaired_mode_uses_the_unpaired_image() -> None:
    objective = build(mode="unpaired")
    assert set(objective.required) == {"clean", "synthetic", "real", "unpaired"}
    assert set(build().required) == {"clean", "synthetic", "real"}
    images = batch()
    before = objective(Restored(), images, random=draws())
    assert "noise_negative" not in before
    images["unpaired"] = 1 - images["unpaired"]
    after = objective(Restored(), images, random=draws())
    assert after["restoration"] == before["restoration"]
    assert after["diffusion"] != before["diffusion"]
    # exactly the paired objective, with the other target
    images["clean"] = images["unpaired"]
    paired = build(residual_swapping=False)(Restored(), images, random=draws())
    torch.testing.assert_close(paired["diffusion"], after["diffusion"])


@pytest.mark.parametrize("steps", [(1, 2), (1, 100), (900, 1000)])
def test_steps_range(steps: tuple[int, int]) -> None:
    objective = build(steps=steps)
    objective.predictor = Seen()
    objective(Restored(), batch(64), random=draws(64))
    gamma = objective.predictor.gamma
    low, high = objective.schedule.gammas[steps[1] - 1], objective.schedule.gammas[steps[0] - 1]
    assert float(gamma.min()) >= float(low)
    assert float(gamma.max()) <= float(high)
    # and it is used up to its ends
    assert float(gamma.max() - gamma.min()) > 0.8 * float(high - low)


def test_value_range_signed_is_the_unit_objective_on_stretched_images() -> None:
    images = batch()
    signed = build(value_range="signed")
    signed.predictor = Seen()
    terms = signed(Restored(), images, random=draws())
    seen = signed.predictor.images[:2]
    first = {tuple(row) for row in seen[:, 3:6].flatten(1).tolist()}
    second = {tuple(row) for row in seen[:, 6:9].flatten(1).tolist()}
    restored = [0.5 * images[role] * 2 - 1 for role in ("synthetic", "real")]
    assert first | second == {tuple(row) for part in restored for row in part.flatten(1).tolist()}
    # a residual doubles: x_s + r_r becomes 2·(x_s + r_r) − 1
    negative = 2 * (images["synthetic"] - 0.5 * images["real"]) - 1
    rows = signed.predictor.images[2:].unflatten(1, (3, 3)).flatten(2)
    for wanted in negative.flatten(1):
        assert (rows - wanted).abs().amax(-1).min() < 1e-5
    doubled = adaptation.build("vanilla", value_range="signed")(Restored(), images)
    assert terms["restoration"] == doubled["restoration"]


def test_ramp() -> None:
    def weight(progress: float, **options: Any) -> float:
        return build(**options).ramped_weight(progress)

    for progress in (0, 0.1, 0.5, 1):
        expected = 0.2 * (2 / (1 + math.exp(-5 * progress)) - 1)
        assert weight(progress) == pytest.approx(expected)
    assert weight(0) == 0
    # a shorter ramp gets there sooner and stays
    assert weight(0.25, ramp=0.5) == pytest.approx(weight(0.5))
    assert weight(0.5, ramp=0.5) == weight(0.9, ramp=0.5) == pytest.approx(weight(1))
    assert weight(0, ramp=0, weight=3) == weight(1, ramp=0, weight=3) == 3


def test_missing_images() -> None:
    images = batch()
    del images["unpaired"]
    with pytest.raises(DataError, match="unpaired"):
        build(mode="unpaired")(Restored(), images)
    with pytest.raises(DataError, match="synthetic, real"):
        build()(Restored(), {"clean": images["clean"]})
    adaptation.build("vanilla")(Restored(), {role: images[role] for role in ("clean", "synthetic")})


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"steps": (0, 5)}, "steps 0 to 5"),
        ({"steps": (5, 5)}, "steps 5 to 5"),
        ({"steps": (1, 1001)}, "steps of the schedule"),
        ({"steps": (1, 20), "schedule": {"steps": 10}}, "≤ 10"),
        ({"schedule": {"stps": 10}}, "did you mean 'steps'"),
        ({"predictor": {"bse": 4}}, "did you mean 'base'"),
        ({"predictor": {"name": "sr4"}}, "did you mean 'sr3'"),
        ({"mode": "pared"}, "'paired' or 'unpaired'"),
        ({"conditions": "none"}, "conditions"),
        ({"weight": -1}, "weight"),
    ],
)
def test_wrong_options(options: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word) as caught:
        adaptation.build("noise-space", **options)
    assert len(str(caught.value).splitlines()) == 1


def test_a_loop_of_ones_own_learns_to_restore() -> None:
    torch.manual_seed(0)
    restorer = networks.build("unet", width=4, depth=2, upsampling="half-pixel")
    objective = build()
    optimizer = torch.optim.Adam([*restorer.parameters(), *objective.parameters()], lr=5e-3)
    images = batch(4)
    images["synthetic"] = images["clean"] * 0.6
    losses = []
    for step in range(60):
        terms = objective(restorer, images, progress=step / 60, random=generator(0, step))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        losses.append(float(terms["restoration"].detach()))
    assert losses[-1] < 0.6 * losses[0]
