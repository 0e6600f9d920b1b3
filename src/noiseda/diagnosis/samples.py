"""The images a diagnosis looks at: crops as training draws them, of real photos it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from noiseda import images
from noiseda.data import select
from noiseda.random import generator
from noiseda.training import Recipe
from noiseda.training.preparation import degradation, source_pairs, validation_pairs


@dataclass(frozen=True)
class Samples:
    """N samples, each a source pair and a real photo, all N×3×p×p float32 in [0, 1].

    As in training, the two domains of a sample show different scenes.

    Attributes:
        target: clean images that ỹ is made from.
        degraded: by domain, "synthetic" and "real".
        clean: their ground truth by domain; "real" only if there is one.
        photos: name of each sample's real photo.
    """

    target: Tensor
    degraded: dict[str, Tensor]
    clean: dict[str, Tensor]
    photos: list[str]

    def __len__(self) -> int:
        return len(self.target)

    @property
    def has_truth(self) -> bool:
        """Whether the real photos have ground truth."""
        return "real" in self.clean

    def to(self, device: torch.device) -> Samples:
        """The same on another device."""
        return Samples(
            self.target.to(device),
            {domain: image.to(device) for domain, image in self.degraded.items()},
            {domain: image.to(device) for domain, image in self.clean.items()},
            self.photos,
        )


def read_samples(
    recipe: Recipe,
    count: int,
    patch: int,
    seed: int,
    unpaired: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> Samples:
    """Read the samples that a recipe names.

    Real photos are those of `data.validation`, with ground truth; without it those of `data.real`,
    which training saw, without. The source is `data.clean` with the recipe's degradation, or
    `data.pairs`. Of more photos than `count` some are drawn; of fewer, several crops, which
    standard errors count as independent.

    Args:
        recipe: of the run.
        count: N.
        patch: p, height and width of the crops.
        seed: of all draws; sample i does not depend on `count`.
        unpaired: whether ỹ is made from `data.unpaired`, not from the source's clean image.
        advance: called after each sample.

    Raises:
        NoiseDAError: a folder or image cannot be used, or validation images do not pair.
    """
    pairs = validation_pairs(recipe)
    real = [(name, [degraded, clean]) for name, degraded, clean in pairs] or [
        (name, [path]) for name, path in select(recipe.data.real)
    ]
    # clean and, if there is one, degraded
    clean = [[path] for _, path in select(recipe.data.clean)]
    clean += [[path, degraded] for _, degraded, path in source_pairs(recipe)]
    others = [[path] for _, path in select(recipe.data.unpaired)] if unpaired else []
    degrade = degradation(recipe)
    real_order, clean_order, other_order = (
        torch.randperm(len(found), generator=generator(seed, 0, f"diagnosis {role}")).tolist()
        for role, found in (("real", real), ("clean", clean), ("unpaired", others))
    )
    rows: list[list[Tensor]] = []
    photos = []
    for number in range(count):
        name, files = real[real_order[number % len(real)]]
        photos.append(name)
        photo = _crops(files, patch, generator(seed, number, "diagnosis real crop"))
        source = generator(seed, number, "diagnosis clean crop")
        source_clean, *given = _crops(clean[clean_order[number % len(clean)]], patch, source)
        target = source_clean
        if others:
            source = generator(seed, number, "diagnosis unpaired crop")
            (target,) = _crops(others[other_order[number % len(others)]], patch, source)
        source = generator(seed, number, "diagnosis degradation")
        if given or degrade is None:
            (synthetic,) = given
        else:
            synthetic = degrade(source_clean, source)
        rows.append([target, source_clean, synthetic, *photo])
        advance()
    target, source_clean, synthetic, degraded, *truth = map(torch.stack, zip(*rows, strict=True))
    return Samples(
        target,
        {"synthetic": synthetic, "real": degraded},
        {"synthetic": source_clean, **({"real": truth[0]} if truth else {})},
        photos,
    )


def _crops(files: Sequence[Path], patch: int, source: torch.Generator) -> list[Tensor]:
    """The same 3×p×p part of images of one size; smaller ones are extended by reflection."""
    # with the depth they have, as when they are restored
    pixels = [images.read(path).pixels for path in files]
    height, width = pixels[0].shape[:2]
    top, left = (
        int(torch.randint(max(size - patch, 0) + 1, (), generator=source))
        for size in (height, width)
    )
    missing = [(0, max(patch - size, 0)) for size in (height, width)]
    return [
        images.to_tensor(
            np.pad(image[top : top + patch, left : left + patch], [*missing, (0, 0)], "reflect")
        )[0]
        for image in pixels
    ]
