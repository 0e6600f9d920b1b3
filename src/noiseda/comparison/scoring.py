"""Scores of a method on held-out images of the target and of the source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noiseda import images
from noiseda.data import select
from noiseda.errors import DataError, OptionError
from noiseda.evaluation import TASK_PROTOCOLS, check_sizes, evaluate, pair, to_json
from noiseda.files import write_whole
from noiseda.random import generator
from noiseda.training import Recipe
from noiseda.training.sources import degradation, source_pairs

# of the degradation of source images: the same for every comparison
_SEED = 0

Restore = Callable[[Any], Any]
"""From a degraded image, H×W×3 uint8 or uint16 or 1×3×H×W floating point in [0, 1], to the
restored one, of either kind."""


class HeldOut:
    """The images that every method of a comparison is scored on.

    Attributes:
        protocol: name of that in which the task is scored, see `PROTOCOLS`.
        target: (name, degraded, clean) files, see `Recipe.data.validation`.
        source: (name, clean) files, see `Recipe.compare.source`; degraded as in training, with
            levels and noise that are the same for every method, and not rounded.

    Args:
        recipe: of the comparison.

    Raises:
        OptionError: the recipe has no images with ground truth.
        DataError: images that do not pair, or that trainings see too.
        ImageError: a file that cannot be read.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.protocol = TASK_PROTOCOLS[recipe.task]
        validation = recipe.data.validation
        if validation is None:
            raise OptionError(
                "a comparison needs held-out images with ground truth; set "
                "data.validation.degraded and data.validation.clean"
            )
        degraded = validation.degraded
        patterns = degraded.include or degraded.exclude
        chosen = {name for name, _ in select([degraded])} if patterns else None
        self.target = pair(degraded.folder, validation.clean, only=chosen)
        check_sizes(self.target)
        compare = recipe.compare
        self.source: list[tuple[str, Path]] = []
        if compare and compare.source:
            self.source = _some(select(compare.source), compare.source_images)
        self._degradation = degradation(recipe)
        if self.source and self._degradation is None:
            raise OptionError("compare.source needs a degradation; the recipe has none")
        data = recipe.data
        seen = [path for _, path in select([*data.clean, *data.real, *data.unpaired])]
        seen += [path for _, *paths in source_pairs(recipe) for path in paths]
        self._refuse_seen({path.resolve() for path in seen})
        self.stamp = self._stamp(recipe.degradation)

    @property
    def count(self) -> int:
        """How many images a method is scored on."""
        return len(self.target) + len(self.source)

    def scores(self, restore: Restore, advance: Callable[[], None]) -> dict[str, Any]:
        """Scores as `evaluation.to_json` gives them, of `target` and of `source`; None without
        source images.

        Args:
            restore: the method.
            advance: called after each image.
        """

        def step(done: int, total: int | None) -> None:
            advance()

        target = evaluate(
            (
                (name, restore(images.read(degraded).pixels), images.read_rgb8(clean))
                for name, degraded, clean in self.target
            ),
            self.protocol,
            step,
        )
        source = None
        if self.source:
            pairs = ((name, restore(noisy), clean) for name, noisy, clean in self._degraded())
            source = to_json(evaluate(pairs, self.protocol, step))
        return {"target": to_json(target), "source": source}

    def kept_scores(
        self, file: Path, open_method: Callable[[], Restore], advance: Callable[[], None]
    ) -> dict[str, Any]:
        """`scores`, or those in `file` if they are of the same images; else they are put there."""
        try:
            content = json.loads(file.read_text())
            if content["stamp"] == self.stamp:
                return {domain: content[domain] for domain in ("target", "source")}
        except (OSError, ValueError, KeyError, TypeError):
            pass
        found = self.scores(open_method(), advance)
        text = json.dumps({"stamp": self.stamp, **found}, indent=1, allow_nan=False)
        write_whole(file, f"{text}\n".encode("utf-8", "surrogateescape"))
        return found

    def _degraded(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        for number, (name, path) in enumerate(self.source):
            clean = images.to_tensor(images.read_rgb8(path))
            assert self._degradation is not None
            noisy = self._degradation(clean, generator(_SEED, number, "held-out source"))
            yield name, noisy, clean

    def _refuse_seen(self, seen: set[Path]) -> None:
        files = [(name, path) for name, path, _ in self.target] + self.source
        common = [name for name, path in files if path.resolve() in seen]
        if common:
            raise DataError(
                f"{len(common)} of the images to score are trained on too ({common[0]}); leave "
                "them out of data.clean, data.pairs, data.real and data.unpaired with exclude "
                "patterns"
            )

    def _stamp(self, degradation: dict[str, Any] | None) -> str:
        """What tells whether scores are of these images."""
        files = [(name, ours, theirs) for name, ours, theirs in self.target]
        files += [(name, path, path) for name, path in self.source]
        status = [(n, *((p.stat().st_size, p.stat().st_mtime_ns) for p in ps)) for n, *ps in files]
        content = [self.protocol, len(self.target), status, degradation, _SEED]
        return hashlib.sha256(repr(content).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def without_training(function: Callable[[Tensor], Tensor]) -> Restore:
    """A method of tensors as one of either kind."""

    def restore(image: Any) -> Tensor:
        tensor = image if isinstance(image, Tensor) else images.to_tensor(image)
        with torch.inference_mode():
            return function(tensor)

    return restore


def _some(files: list[tuple[str, Path]], most: int) -> list[tuple[str, Path]]:
    """At most so many, spread over all."""
    count = min(most, len(files))
    return [files[number * len(files) // count] for number in range(count)]
