"""Objectives that translate images: who learns from which term, and a shift of brightness."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda.adaptation import CyCADA, PixelDA
from noiseda.adaptation.adversarial import Translator
from tests.adaptation.toys import (
    build,
    draws,
    error,
    noisy,
    photos,
    random_batch,
    small_network,
    train,
)


def learners(name: str, term: str, **options: Any) -> set[str]:
    """The parts that a term has a gradient to."""
    restorer = small_network()
    objective = build(name, width=4, blocks=1, **options)
    objective.attach(restorer)
    objective(restorer, random_batch(), 0.5, draws())[term].backward()
    parts = {"restorer": restorer, **dict(objective.named_children())}
    return {
        part
        for part, module in parts.items()
        if any(p.grad is not None and p.grad.abs().max() > 0 for p in module.parameters())
    }


GENERATORS, DISCRIMINATORS = {"to_real", "to_synthetic"}, {"of_real", "of_synthetic"}


@pytest.mark.parametrize(
    ("name", "term", "expected"),
    [
        ("pixelda", "restoration", {"restorer"}),
        ("pixelda", "restoration_generated", {"restorer", "generator"}),
        ("pixelda", "content", {"generator"}),
        ("pixelda", "generator", {"generator"}),
        ("pixelda", "discriminator", {"discriminator"}),
        ("cycada", "restoration", {"restorer"}),
        ("cycada", "restoration_generated", {"restorer"}),
        ("cycada", "cycle", GENERATORS),
        ("cycada", "generator", GENERATORS),
        ("cycada", "consistency", GENERATORS),
        ("cycada", "discriminator", DISCRIMINATORS),
        ("cycada", "feature", {"restorer", "classifier"}),
    ],
)
def test_who_learns_from_what(name: str, term: str, expected: set[str]) -> None:
    assert learners(name, term) == expected


@pytest.mark.parametrize("name", ["pixelda", "cycada"])
def test_the_players_oppose_each_other(name: str) -> None:
    """The generator's step makes the discriminator's loss larger, its own smaller."""
    restorer, batch = small_network(), random_batch()
    objective = build(name, width=8, blocks=1)
    objective.attach(restorer)
    before = objective(restorer, batch, 0.5, draws())
    before["generator"].backward()
    with torch.no_grad():
        for parameter in objective.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
        after = objective(restorer, batch, 0.5, draws())
    assert after["generator"] < before["generator"] - 1e-6
    assert after["discriminator"] > before["discriminator"] + 1e-6


def test_pixelda_loss_is_the_weighted_sum() -> None:
    objective = build("pixelda", width=4, adversarial=0.3, content=0.7)
    assert isinstance(objective, PixelDA)
    terms = objective(small_network(), random_batch(), 0.5, draws())
    expected = (terms["restoration"] + terms["restoration_generated"]) / 2
    expected = expected + 0.7 * terms["content"] + 0.3 * terms["generator"]
    torch.testing.assert_close(terms["loss"], expected + terms["discriminator"])


def test_cycada_loss_is_the_weighted_sum() -> None:
    objective = build("cycada", width=4, adversarial=0.3, cycle=0.7, consistency=0.9, feature=0.2)
    assert isinstance(objective, CyCADA)
    restorer = small_network()
    objective.attach(restorer)
    terms = objective(restorer, random_batch(), 0.5, draws())
    expected = (terms["restoration"] + terms["restoration_generated"]) / 2
    expected = expected + 0.3 * terms["generator"] + 0.7 * terms["cycle"]
    expected = expected + 0.9 * terms["consistency"] + terms["feature"] + terms["discriminator"]
    torch.testing.assert_close(terms["loss"], expected)


def test_cycada_terms_by_hand() -> None:
    """With translators that add a constant, the cycle and the consistency are known."""
    objective = build("cycada", width=4, blocks=1, feature=0)
    assert isinstance(objective, CyCADA)
    for translator, constant in ((objective.to_real, 0.2), (objective.to_synthetic, 0.1)):
        assert isinstance(translator, Translator)
        nn.init.zeros_(translator.last.weight)
        assert translator.last.bias is not None
        nn.init.constant_(translator.last.bias, constant)
    restorer = nn.Conv2d(3, 3, 1, bias=False)
    nn.init.zeros_(restorer.weight)
    with torch.no_grad():
        restorer.weight += 0.5 * torch.eye(3)[:, :, None, None]
    terms = objective(restorer, random_batch(), 0.5, draws())
    # there and back adds 0.3 in both cycles; f halves what a translation adds
    assert terms["cycle"].item() == pytest.approx(2 * 0.3, rel=1e-4)
    assert terms["consistency"].item() == pytest.approx(0.5 * (0.2 + 0.1), rel=1e-4)
    assert "feature" not in terms


def test_switching_parts_off() -> None:
    assert learners("pixelda", "loss", noise_channels=0) == {
        "restorer",
        "generator",
        "discriminator",
    }
    # without features nothing depends on the network, so there is nothing to attach
    objective = build("cycada", width=4, blocks=1, feature=0, consistency=0)
    terms = objective(small_network(), random_batch(), 0.5, draws())
    assert terms["consistency"] == 0


# --- the toy ----------------------------------------------------------------------------------

SHIFT = 0.3


def domains(step: int) -> dict[str, Tensor]:
    """Real photos are darker than synthetic images, and show other scenes."""
    clean = photos(4, 16, step)
    real = noisy(photos(4, 16, 10**6 + step) - SHIFT, 0.03, 10**6 + step)
    return {"clean": clean, "synthetic": noisy(clean, 0.03, step), "real": real}


def trained(name: str, **options: Any) -> tuple[Any, nn.Module]:
    restorer = small_network(width=8)
    objective = build(name, **options)
    train(objective, restorer, domains, 200, 3e-3)
    return objective, restorer


@functools.cache
def vanilla_error() -> float:
    return real_error(trained("vanilla")[1])


def real_error(restorer: nn.Module) -> float:
    clean = photos(32, 16, 2 * 10**6)
    return error(restorer, noisy(clean - SHIFT, 0.03, 2 * 10**6), clean)


@pytest.mark.parametrize(("name", "generator"), [("pixelda", "generator"), ("cycada", "to_real")])
def test_learns_the_shift_between_domains(name: str, generator: str) -> None:
    objective, restorer = trained(name, width=8, blocks=1)
    synthetic = domains(10**7)["synthetic"]
    noise = [torch.zeros_like(synthetic)] if name == "pixelda" else []
    with torch.no_grad():
        change = getattr(objective, generator)(synthetic, *noise) - synthetic
    assert float(change.mean()) == pytest.approx(-SHIFT, abs=0.1)
    # the vanilla network leaves the real photos dark
    assert vanilla_error() > 0.8 * SHIFT**2
    assert real_error(restorer) < 0.4 * vanilla_error()
