"""Images drawn from a run's noise predictor: what it takes for a clean image, given the restored
ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from noiseda import images
from noiseda.adaptation import NoiseSpace
from noiseda.diagnosis.conditions import draws
from noiseda.diagnosis.samples import Samples
from noiseda.diffusion import Sampler, sample
from noiseda.evaluation import protocol
from noiseda.evaluation.picture import side_by_side

_PROTOCOL = "rgb"


@dataclass(frozen=True)
class Drawing:
    """How images are drawn.

    Attributes:
        count: how many, each with the restored images of another sample as conditions.
        sampler: "ddpm" or "ddim".
        steps: of the schedule that are used, evenly spaced; None for all.
    """

    count: int
    sampler: Sampler = "ddim"
    steps: int | None = 50


def draw(
    objective: NoiseSpace,
    restored: dict[str, Tensor],
    drawing: Drawing,
    seed: int,
    batch: int,
    advance: Callable[[], None] = lambda: None,
) -> Tensor:
    """Draw images with the restored ones as conditions, in the order of the slots.

    Args:
        objective: with the predictor, in evaluation mode.
        restored: N×3×p×p in [0, 1] by domain, on the predictor's device; N at least
            `drawing.count`.
        drawing: how.
        seed: of all draws; image i does not depend on `count`.
        batch: images at a time.
        advance: called after each step of each batch.

    Returns:
        count×3×p×p in [0, 1], on the CPU.

    Raises:
        OptionError: unknown sampler, or more steps than the schedule has.
    """
    signed = objective.value_range == "signed"
    found = []
    for first in range(0, drawing.count, batch):
        numbers = list(range(first, min(first + batch, drawing.count)))
        part = slice(first, numbers[-1] + 1)
        conditions = {name: objective.in_range(image[part]) for name, image in restored.items()}
        slots = objective.slots(conditions)

        def predict(noisy: Tensor, gamma: Tensor, slots: list[Tensor] = slots) -> Tensor:
            return objective.predictor(torch.cat([noisy, *slots], dim=1), gamma)

        drawn = sample(
            predict,
            tuple(slots[0].shape[1:]),
            objective.schedule,
            draws(seed, numbers, "drawing"),
            sampler=drawing.sampler,
            steps=drawing.steps,
            clip=(-1.0, 1.0) if signed else (0.0, 1.0),
            device=slots[0].device,
            advance=advance,
        )
        found.append(((drawn + 1) / 2 if signed else drawn).cpu())
    return torch.cat(found)


def picture(samples: Samples, restored: dict[str, Tensor], drawn: Tensor) -> np.ndarray:
    """A row for each drawn image: what it was drawn from, itself, and the clean target.

    Args:
        samples: the first of which were drawn for.
        restored: by domain.
        drawn: from `draw`.
    """
    columns = {
        "synthetic": samples.degraded["synthetic"],
        "restored": restored["synthetic"],
        "real": samples.degraded["real"],
        "restored real": restored["real"],
        "drawn": drawn,
        "clean target": samples.target,
    }
    rows = [
        [images.to_pixels(image[number]) for image in columns.values()]
        for number in range(len(drawn))
    ]
    return side_by_side(rows, list(columns))


def content(samples: Samples, drawn: Tensor, drawing: Drawing, steps: int) -> dict[str, Any]:
    """For the diagnosis' JSON: how it was drawn, and how near it comes to the clean target.

    Args:
        samples: the first of which were drawn for.
        drawn: from `draw`.
        drawing: how.
        steps: of the schedule, all of them.
    """
    scores = protocol(_PROTOCOL).score(drawn, samples.target[: len(drawn)].cpu())
    psnr = [value if np.isfinite(value) else None for value in scores["psnr"].tolist()]
    return {
        "sampler": drawing.sampler,
        "steps": drawing.steps or steps,
        "count": drawing.count,
        "protocol": _PROTOCOL,
        "psnr_to_target": psnr,
    }
