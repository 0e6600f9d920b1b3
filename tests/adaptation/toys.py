"""Toy problems: tiny images of two domains, and a training loop as a user would write it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noiseda import adaptation, networks
from noiseda.adaptation import Objective
from noiseda.random import BatchRandom, generator

Batches = Callable[[int], dict[str, Tensor]]


def photos(count: int, size: int, seed: int) -> Tensor:
    """Smooth colour images, count×3×size×size in [0, 1]."""
    coarse = torch.rand(count, 3, 3, 3, generator=generator(seed, 0, "photos"))
    return F.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)


def noisy(images: Tensor, sigma: float, seed: int, block: int = 1) -> Tensor:
    """With Gaussian noise; the same in every block×block pixels."""
    size = [side // block for side in images.shape[2:]]
    noise = torch.randn(*images.shape[:2], *size, generator=generator(seed, 0, "noise"))
    return images + sigma * F.interpolate(noise, scale_factor=block)


def random_batch(count: int = 2, size: int = 16, seed: int = 0) -> dict[str, Tensor]:
    roles = ("clean", "synthetic", "real")
    return {r: torch.rand(count, 3, size, size, generator=generator(seed, 0, r)) for r in roles}


def draws(step: int = 0, count: int = 2) -> BatchRandom:
    return BatchRandom.for_samples(0, range(step * count, step * count + count), "objective")


def small_network(objective: str = "", **options: object) -> networks.RestorationNetwork:
    """A restoration network that the objective can be used with."""
    torch.manual_seed(0)
    if objective == "ap-bsn":
        return networks.build("blind-spot", **{"width": 8, "depth": 1, "stride": 1, **options})
    return networks.build("unet", **{"width": 4, "depth": 2, "upsampling": "half-pixel", **options})


def train(
    objective: Objective, restorer: nn.Module, batches: Batches, steps: int, rate: float
) -> list[dict[str, float]]:
    """The terms of every step. One Adam over both, as in a run."""
    objective.attach(restorer)
    optimizer = torch.optim.Adam([*restorer.parameters(), *objective.parameters()], lr=rate)
    history = []
    for step in range(steps):
        batch = batches(step)
        random = draws(step, len(batch["real"]))
        terms = objective(restorer, batch, progress=step / steps, random=random)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        history.append({name: float(value.detach()) for name, value in terms.items()})
    return history


def build(name: str, **options: object) -> Objective:
    """With the same weights at each call."""
    torch.manual_seed(1)
    return adaptation.build(name, **options)


@torch.no_grad()
def error(restorer: nn.Module, degraded: Tensor, clean: Tensor) -> float:
    """Mean squared error of the restored images."""
    return float((restorer(degraded) - clean).square().mean())
