"""The error of the predicted noise, with other images in the place of the conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from noiseda.adaptation import NoiseSpace
from noiseda.diagnosis.levels import Levels
from noiseda.diagnosis.samples import Samples
from noiseda.random import BatchRandom

#: What is put in a slot, by kind; "other" and the kinds after it ask whether a slot is used.
KINDS = {
    "clean": "the clean image",
    "restored": "the restored image",
    "degraded": "the degraded image",
    "wrong": "the clean image of another sample",
    "other": "the restored image of another sample",
    "zeros": "zeros",
    "noise": "white noise with the restored image's mean and standard deviation",
}
QUALITIES = ("clean", "restored", "degraded", "wrong")
REPLACEMENTS = ("other", "zeros", "noise")

#: Slots whose images are replaced, to kind, to the error: L×N float64, of each level and sample.
Errors = dict[str, dict[str, Tensor]]


def draws(seed: int, numbers: list[int], stream: str) -> BatchRandom:
    """Draws that belong to samples, the same for whatever is compared on them."""
    return BatchRandom.for_samples(seed, numbers, f"diagnosis {stream}")


def level_draws(
    objective: NoiseSpace, seed: int, level: int, numbers: list[int], like: Tensor
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """ε, and the coins that exchange conditions and negatives (None without channel shuffling)."""
    random = draws(seed, numbers, f"level {level}")
    noise = random.randn(*like.shape[1:]).to(like)
    if not objective.channel_shuffling:
        return noise, None, None
    return noise, random.rand() > 0.5, random.rand() > 0.5


def contents(
    objective: NoiseSpace, samples: Samples, restored: dict[str, Tensor], seed: int
) -> dict[str, dict[str, Tensor]]:
    """Images N×3×p×p by kind (see `KINDS`) and domain, as the predictor takes them.

    The real domain lacks "clean" and "wrong" if there is no ground truth.
    """
    found: dict[str, dict[str, Tensor]] = {kind: {} for kind in KINDS}
    for domain, image in restored.items():
        image = objective.in_range(image)
        if domain in samples.clean:
            clean = objective.in_range(samples.clean[domain])
            found["clean"][domain] = clean
            found["wrong"][domain] = clean.roll(1, 0)
        found["restored"][domain] = image
        found["degraded"][domain] = objective.in_range(samples.degraded[domain])
        found["other"][domain] = image.roll(1, 0)
        found["zeros"][domain] = torch.zeros_like(image)
        random = draws(seed, list(range(len(image))), f"noise for {domain}")
        noise = random.randn(*image.shape[1:]).to(image)
        deviation, mean = torch.std_mean(image, (1, 2, 3), keepdim=True)
        found["noise"][domain] = mean + deviation * noise
    return found


def fillings(
    objective: NoiseSpace, known: dict[str, dict[str, Tensor]]
) -> dict[tuple[str, str], dict[str, Tensor]]:
    """What is put in the slots, by name of the replaced slots and kind: images by domain.

    "every": all slots hold the same kind; "real" or "synthetic": that slot holds it, beside the
    other domain's restored image. With that kind they would all be the same.
    """
    slots, restored = objective.domains, known["restored"]
    result: dict[tuple[str, str], dict[str, Any]] = {}
    for kind in QUALITIES:
        if all(domain in known[kind] for domain in slots):
            result["every", kind] = known[kind]
        if "real" in slots and "real" in known[kind] and kind != "restored":
            result["real", kind] = {**restored, "real": known[kind]["real"]}
    for domain in slots:
        for kind in REPLACEMENTS:
            result[domain, kind] = {**restored, domain: known[kind][domain]}
    return result


@torch.no_grad()
def measure_conditions(
    objective: NoiseSpace,
    samples: Samples,
    restored: dict[str, Tensor],
    levels: Levels,
    seed: int,
    batch: int,
    advance: Callable[[], None] = lambda: None,
) -> Errors:
    """The error of each level and sample, mean squared over the pixels, for all that `fillings`
    names, and for restored images in all slots. Everything that is compared sees the same noise.

    Args:
        objective: with the predictor, in evaluation mode.
        samples: on the predictor's device.
        restored: of the samples, by domain.
        levels: L noise levels.
        seed: of all draws.
        batch: samples at a time; it changes nothing but speed and memory.
        advance: called after each level of each batch.
    """
    filled = fillings(objective, contents(objective, samples, restored, seed))
    count = len(samples)
    errors: Errors = {}
    for slots, kind in filled:
        errors.setdefault(slots, {})[kind] = torch.zeros(len(levels), count, dtype=torch.float64)
    target = objective.in_range(samples.target)
    for first in range(0, count, batch):
        numbers = list(range(first, min(first + batch, count)))
        part = slice(first, numbers[-1] + 1)
        for level, gamma in enumerate(levels.gammas):
            noise, coins, _ = level_draws(objective, seed, level, numbers, target)
            gammas = gamma.expand(len(numbers), 1).to(target)
            for (slots, kind), image in filled.items():
                ours = {domain: image[domain][part] for domain in objective.domains}
                seen = objective.slots(ours, coins)
                (predicted,) = objective.predict(target[part], gammas, noise, seen)
                error = (predicted - noise).double().square().mean((1, 2, 3))
                errors[slots][kind][level, part] = error.cpu()
            advance()
    if "degraded" in errors.get("real", {}):
        errors["real"]["restored"] = errors["every"]["restored"]
    return errors
