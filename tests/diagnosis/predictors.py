"""Predictors made so that the answer is known, and samples for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from noiseda import adaptation
from noiseda.adaptation import NoiseSpace
from noiseda.diagnosis import (
    Samples,
    measure_conditions,
    measure_gradients,
    noise_levels,
)
from noiseda.diagnosis.gradients import Gradients
from noiseda.diagnosis.summary import condition_tables, gradient_tables
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
