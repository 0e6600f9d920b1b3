"""The objective computes what the published code computes: losses and gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from noiseda import adaptation, networks
from noiseda.checkpoint import read_published

HERE = Path(__file__).parent


class Replay:
    """Hands out the fixture's recorded draws in order, checking that the right ones are asked."""

    def __init__(self, fixture: dict[str, Tensor]) -> None:
        names = sorted(name for name in fixture if name.startswith("draw"))
        self._draws = iter([(name.split(".")[1], fixture[name]) for name in names])

    def _next(self, kind: str, shape: tuple[int, ...]) -> Tensor:
        name, value = next(self._draws)
        assert (name, tuple(value.shape[1:])) == (kind, shape)
        return value

    def randint(self, low: int, high: int) -> Tensor:
        assert (low, high) == (1, 1000)
        return self._next("randint", ())

    def rand(self, *shape: int) -> Tensor:
        return self._next("rand", shape)

    def randn(self, *shape: int) -> Tensor:
        return self._next("randn", shape)

    def exhausted(self) -> bool:
        return next(self._draws, None) is None


def _objective(mode: int) -> adaptation.Objective:
    if mode == 0:
        return adaptation.build("vanilla")
    objective = adaptation.build(
        "noise-space",
        # λ(p) = 0.2 from the start, as the fixture's loss weighs it
        ramp=0,
        mode="paired" if mode == 1 else "unpaired",
        predictor={
            "name": "sr3",
            "base": 8,
            "groups": 4,
            "multipliers": (1, 2),
            "blocks": 1,
            "attention": (2,),
            "dropout": 0.0,
        },
    )
    weights = read_published(HERE / "checkpoint_network.pth").predictor
    assert isinstance(objective, adaptation.NoiseSpace)
    objective.predictor.load_state_dict(weights, strict=True)
    return objective


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_losses_and_gradients(mode: int, layout: torch.memory_format) -> None:
    fixture = load_file(HERE / f"objective_mode{mode}.safetensors")
    network = networks.build("unet", width=8, upsampling="aligned").train()
    network.body.load_state_dict(read_published(HERE / "checkpoint_network.pth").restoration)
    batch = {
        role: fixture[role].contiguous(memory_format=layout)
        for role in ("clean", "synthetic", "real")
    }
    batch["unpaired"] = fixture["reference"].contiguous(memory_format=layout)
    draws = Replay(fixture)

    terms = _objective(mode).train()(network, batch, random=draws)
    terms["loss"].backward()

    assert draws.exhausted()
    assert abs(float(terms["restoration"].detach() - fixture["restoration_loss"])) < 1e-5
    if mode:
        assert abs(float(terms["diffusion"].detach() - fixture["diffusion_loss"])) < 1e-5
    weights = dict(network.body.named_parameters())
    gradients = {n: w.grad for n, w in weights.items() if w.grad is not None}
    expected = {n.removeprefix("grad."): v for n, v in fixture.items() if n.startswith("grad.")}
    assert gradients.keys() == expected.keys()
    errors = {n: float((gradients[n] - expected[n]).abs().max()) for n in expected}
    worst = max(errors, key=lambda name: errors[name])
    assert errors[worst] < 1e-4, f"{worst}: {errors[worst]:.2e}"
