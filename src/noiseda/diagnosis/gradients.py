"""The gradient of the diffusion loss that reaches the restored images and the network's weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noiseda.adaptation import NoiseSpace, charbonnier
from noiseda.adaptation.noise_space import swap_residuals
from noiseda.diagnosis.conditions import level_draws
from noiseda.diagnosis.levels import Levels
from noiseda.diagnosis.samples import Samples

#: Side of the box whose mean is an image's low band.
BOX = 4
BANDS = ("all", "low", "high")
DOMAINS: tuple[str, ...] = ("synthetic", "real")


def bands(image: Tensor) -> dict[str, Tensor]:
    """An image, B×C×H×W with sides divisible by 4, and its orthogonal parts: "low", the means of
    4×4 boxes, and "high", what is left."""
    low = F.interpolate(F.avg_pool2d(image, BOX), scale_factor=BOX, mode="nearest")
    return {"all": image, "low": low, "high": image - low}


def norm(image: Tensor) -> Tensor:
    """The Euclidean norm of each of B samples, B float64."""
    return image.double().flatten(1).norm(dim=1)


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """The cosine between two B×… tensors, sample by sample, B float64; NaN where one is zero."""
    product = (one.double() * other.double()).flatten(1).sum(1)
    size = norm(one) * norm(other)
    return torch.where(size > 0, product / size, float("nan"))


@dataclass(frozen=True)
class Gradients:
    """What was measured, float64. Rows are L noise levels; one more row, the last, is for the mean
    gradient over the levels, weighted with their shares of the training. Columns are N samples or,
    of the weights, batches. Cosines are NaN where a gradient is zero.

    Attributes:
        norms: of the diffusion loss's gradient on a restored image, by domain. It is that of a
            batch of one, with respect to values in [0, 1].
        low: part of that gradient's energy in the low band, by domain.
        cosines: between a step against that gradient and (clean − restored), by domain with ground
            truth and by band: 1 if the step moves straight to the clean image.
        restoration: 1×N, norm of the restoration loss's gradient on the restored synthetic image.
        errors_low: 1×N, part of the energy of (clean − restored) in the low band, by such domain.
        weights: norms of gradients on the restoration network's weights, rows × batches:
            "diffusion", its parts "through synthetic" and "through real", and, 1 × batches,
            "restoration" and, with ground truth, "truth": of a restoration loss on real images.
        weights_cosines: between them: "diffusion, restoration", and with ground truth
            "diffusion, truth", "through real, truth" and, 1 × batches, "restoration, truth".
    """

    norms: dict[str, Tensor]
    low: dict[str, Tensor]
    cosines: dict[str, dict[str, Tensor]]
    restoration: Tensor
    errors_low: dict[str, Tensor]
    weights: dict[str, Tensor]
    weights_cosines: dict[str, Tensor]


def measure_gradients(
    restorer: nn.Module,
    objective: NoiseSpace,
    samples: Samples,
    levels: Levels,
    seed: int,
    batch: int,
    advance: Callable[[], None] = lambda: None,
) -> Gradients:
    """Measure the gradient of L_dif, with its triplet term if the objective has one.

    Args:
        restorer: the restoration network; its parameters ask for gradients.
        objective: with the predictor, in evaluation mode.
        samples: p a multiple of 4, on the networks' device.
        levels: L noise levels.
        seed: of all draws.
        batch: as in training: the triplet term and the weights' gradients are a batch's.
        advance: called after each level of each batch.
    """
    columns = [
        _of_batch(restorer, objective, _part(samples, numbers), levels, seed, numbers, advance)
        for numbers in torch.arange(len(samples)).split(batch)
    ]
    return Gradients(**{name: _joined([column[name] for column in columns]) for name in columns[0]})


def _part(samples: Samples, numbers: Tensor) -> Samples:
    part = slice(int(numbers[0]), int(numbers[-1]) + 1)
    return Samples(
        samples.target[part],
        {domain: image[part] for domain, image in samples.degraded.items()},
        {domain: image[part] for domain, image in samples.clean.items()},
        samples.photos[part],
    )


def _of_batch(
    restorer: nn.Module,
    objective: NoiseSpace,
    samples: Samples,
    levels: Levels,
    seed: int,
    numbers: Tensor,
    advance: Callable[[], None],
) -> dict[str, Any]:
    """The fields of `Gradients` for one batch."""
    count = len(samples)
    parameters = [weight for weight in restorer.parameters() if weight.requires_grad]
    passed = restorer(torch.cat([samples.degraded[domain] for domain in DOMAINS]))
    restored = dict(zip(DOMAINS, passed.split(count), strict=True))
    leaves = {domain: image.detach().requires_grad_() for domain, image in restored.items()}
    clean = samples.clean

    def on_weights(domain: str, gradient: Tensor) -> Tensor:
        found = torch.autograd.grad(
            restored[domain], parameters, gradient, retain_graph=True, allow_unused=True
        )
        pairs = zip(found, parameters, strict=True)
        return torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for g, w in pairs])

    # of the same loss on both domains: on real images it is what ground truth would ask for
    supervised = {}
    for domain in clean:
        image = leaves[domain]
        loss = charbonnier(objective.in_range(image), objective.in_range(clean[domain]))
        (supervised[domain],) = torch.autograd.grad(loss, image)
    known = {domain: on_weights(domain, gradient) for domain, gradient in supervised.items()}

    rows: list[dict[str, Any]] = []
    mean_images = {domain: torch.zeros_like(image) for domain, image in leaves.items()}
    mean_weights = {domain: torch.zeros_like(known["synthetic"]) for domain in DOMAINS}
    for level, (gamma, share) in enumerate(zip(levels.gammas, levels.shares, strict=True)):
        gradients = _on_images(objective, samples, leaves, gamma, level, seed, numbers.tolist())
        weights = {domain: on_weights(domain, image) for domain, image in gradients.items()}
        rows.append(_row(gradients, weights, leaves, clean, known))
        for domain in DOMAINS:
            mean_images[domain] += float(share) * gradients[domain]
            mean_weights[domain] += float(share) * weights[domain]
        advance()
    rows.append(_row(mean_images, mean_weights, leaves, clean, known))

    fields = _stacked(rows)
    fields["restoration"] = count * norm(supervised["synthetic"])[None].cpu()
    wrong = {domain: clean[domain] - leaves[domain].detach() for domain in clean}
    fields["errors_low"] = {domain: _low(error)[None].cpu() for domain, error in wrong.items()}
    named = {"restoration": "synthetic", "truth": "real"}
    for name, domain in named.items():
        if domain in known:
            fields["weights"][name] = norm(known[domain][None])[None].cpu()
    if "real" in known:
        fields["weights_cosines"]["restoration, truth"] = cosine(
            known["synthetic"][None], known["real"][None]
        )[None].cpu()
    return fields


def _on_images(
    objective: NoiseSpace,
    samples: Samples,
    leaves: dict[str, Tensor],
    gamma: Tensor,
    level: int,
    seed: int,
    numbers: list[int],
) -> dict[str, Tensor]:
    """The gradient of the batch's L_dif at one level on its restored images."""
    target = objective.in_range(samples.target)
    noise, coins, negative_coins = level_draws(objective, seed, level, numbers, target)
    conditions = {domain: objective.in_range(image) for domain, image in leaves.items()}
    seen = [objective.slots(conditions, coins)]
    if objective.residual_swapping:
        degraded = {d: objective.in_range(image) for d, image in samples.degraded.items()}
        seen.append(objective.slots(swap_residuals(degraded, conditions), negative_coins))
    gammas = gamma.expand(len(target), 1).to(target)
    loss = objective.noise_terms_of(target, gammas, noise, *seen)["diffusion"]
    # a predictor that ignores its conditions leaves no graph at all
    found: tuple[Tensor | None, ...] = (None,) * len(leaves)
    if loss.requires_grad:
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves.items(), found, strict=True)
    return {domain: torch.zeros_like(i) if g is None else g for (domain, i), g in pairs}


def _row(
    images: dict[str, Tensor],
    weights: dict[str, Tensor],
    leaves: dict[str, Tensor],
    clean: dict[str, Tensor],
    known: dict[str, Tensor],
) -> dict[str, Any]:
    """The measures of one level's gradients."""
    through = {f"through {domain}": weights[domain] for domain in DOMAINS}
    vectors = {"diffusion": weights["synthetic"] + weights["real"], **through}
    pairs = {"diffusion, restoration": ("diffusion", "synthetic")}
    if "real" in known:
        pairs["diffusion, truth"] = ("diffusion", "real")
        pairs["through real, truth"] = ("through real", "real")
    cosines = {}
    for domain in clean:
        error, step = bands(clean[domain] - leaves[domain].detach()), bands(-images[domain])
        cosines[domain] = {band: cosine(step[band], error[band]).cpu() for band in BANDS}
    return {
        # a batch's loss is the mean of its samples' losses
        "norms": {d: len(image) * norm(image).cpu() for d, image in images.items()},
        "low": {domain: _low(image).cpu() for domain, image in images.items()},
        "cosines": cosines,
        "weights": {name: norm(vector[None]).cpu() for name, vector in vectors.items()},
        "weights_cosines": {
            name: cosine(vectors[one][None], known[other][None]).cpu()
            for name, (one, other) in pairs.items()
        },
    }


def _low(image: Tensor) -> Tensor:
    """Part of each sample's energy in the low band, B float64; NaN for a zero image."""
    parts = bands(image)
    whole = norm(image).square()
    return torch.where(whole > 0, norm(parts["low"]).square() / whole, float("nan"))


def _stacked(rows: list[Any]) -> Any:
    """Rows of nested mappings of vectors as one nested mapping of matrices."""
    if isinstance(rows[0], dict):
        return {key: _stacked([row[key] for row in rows]) for key in rows[0]}
    return torch.stack(rows)


def _joined(columns: list[Any]) -> Any:
    """Nested mappings of matrices, side by side."""
    if isinstance(columns[0], dict):
        return {key: _joined([column[key] for column in columns]) for key in columns[0]}
    return torch.cat(columns, dim=1)
