"""The images of a recipe: found, paired, checked and opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from noiseda import degradations
from noiseda.console import progress_bar
from noiseda.data import (
    Chosen,
    Selection,
    Store,
    choose,
    is_prepared,
    open_chosen,
    select,
    truth_of,
)
from noiseda.errors import DataError
from noiseda.evaluation import check_sizes, pair
from noiseda.measurement import Noise, evenly, matched_options, measure
from noiseda.training.recipe import Pair, Recipe

# instead of a degradation: that of the real photos
MEASURED = "measured"
# photos that are enough to measure it
_MEASURED = 64


def open_role(recipe: Recipe, role: str, chosen: Chosen) -> Store:
    with progress_bar("images") as bar:
        task = bar.add_task(f"decoding {role} images", total=None, note="", visible=False)
        return open_chosen(
            chosen,
            recipe.data.cache,
            lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )


def is_measured(wanted: object) -> bool:
    """Whether a recipe's file asks for the degradation of its real photos."""
    return wanted in (MEASURED, {"name": MEASURED})


def with_measured_noise(recipe: Recipe) -> Recipe:
    """The recipe whose degradation lays noise over clean images as it is in `data.real`.

    Raises:
        DataError: there are no real photos, or none is large enough to be measured.
    """
    if not recipe.data.real:
        raise DataError(
            f"degradation {MEASURED!r} is the noise of data.real; give a folder of photos with "
            "--set data.real=FOLDER"
        )
    noise = measured_noise(open_role(recipe, "real", choose(recipe.data.real)))
    content = recipe.model_dump() | {"degradation": {"name": "matched", **matched_options(noise)}}
    return Recipe.model_validate(content)


def measured_noise(photos: Store) -> Noise:
    """The noise of the photos, or of some of them, if they are many.

    Raises:
        DataError: none is large enough to be measured.
    """
    chosen = evenly(range(len(photos)), _MEASURED)
    with progress_bar("photos") as bar:
        task = bar.add_task("measuring noise", total=len(chosen), note="")

        def each() -> Iterator[np.ndarray]:
            for index in chosen:
                yield photos[index]
                bar.advance(task)

        return measure(each())


def degradation(recipe: Recipe) -> degradations.Degradation | None:
    """The recipe's, or None if it has none."""
    if recipe.degradation is None:
        return None
    options = dict(recipe.degradation)
    return degradations.build(options.pop("name"), **options)


def source(recipe: Recipe) -> dict[str, Chosen]:
    """The source by role: "clean" and, if the recipe has pairs, "synthetic"."""
    if not recipe.data.pairs:
        return {"clean": choose(recipe.data.clean)}
    crops = [one for one in recipe.data.pairs if is_prepared(one.degraded.folder)]
    plain = _pairs([one for one in recipe.data.pairs if one not in crops])
    return {
        "clean": Chosen(
            [clean for _, _, clean in plain], [truth_of(one.degraded, one.clean) for one in crops]
        ),
        "synthetic": Chosen(
            [degraded for _, degraded, _ in plain], [one.degraded for one in crops]
        ),
    }


def source_pairs(recipe: Recipe) -> list[tuple[str, Path, Path]]:
    """(name, degraded, clean) files of `data.pairs`; of crops, those they were cut from.

    Raises:
        DataError: they cannot be paired, or differ in size; one message for all folders.
        ImageError: a file that is no readable image, as far as its header shows it.
    """
    return _pairs(recipe.data.pairs)


def _pairs(pairs: list[Pair]) -> list[tuple[str, Path, Path]]:
    found: list[tuple[str, Path, Path]] = []
    problems = []
    with progress_bar() as bar:
        # of several processes the first shows it
        leads = bool(pairs) and rank_zero_only.rank == 0
        bar.add_task("checking pairs", total=None, note="", visible=leads)
        for one in pairs:
            try:
                found += _paired(one.degraded, one.clean)
            except DataError as error:
                problems.append(str(error))
    if problems:
        raise DataError(f"data.pairs: {' | '.join(problems)}")
    return found


def _paired(degraded: Selection, clean: Path) -> list[tuple[str, Path, Path]]:
    """(name, degraded, clean) of a selection's images, of equal sizes."""
    if is_prepared(degraded.folder):
        both = zip(select([degraded]), select([truth_of(degraded, clean)]), strict=True)
        return [(name, ours, theirs) for (name, ours), (_, theirs) in both]
    chosen = {name for name, _ in select([degraded])}
    patterns = degraded.include or degraded.exclude
    pairs = pair(degraded.folder, clean, only=chosen if patterns else None)
    # now and not hours later
    check_sizes(pairs)
    return pairs


def truth(recipe: Recipe) -> Chosen:
    """The ground truth of each real photo or crop, in the order of these."""
    data = recipe.data
    if len(data.truth) != len(data.real):
        raise DataError(
            f"data.truth names {len(data.truth)} folders and data.real {len(data.real)}; give one "
            "of ground truth for each of photos, in the same order"
        )
    found = Chosen([], [])
    for photos, folder in zip(data.real, data.truth, strict=True):
        if is_prepared(photos.folder):
            found.crops.append(truth_of(photos, folder))
            continue
        clean = {photo: path for _, photo, path in _paired(photos, folder)}
        found.paths.extend(clean[photo] for _, photo in select([photos]))
    return found


def validation_pairs(recipe: Recipe) -> list[tuple[str, Path, Path]]:
    """(name, degraded, clean) files of `data.validation`; none if the recipe has no such folders.

    Raises:
        NoiseDAError: they cannot be paired, or differ in size.
    """
    wanted = recipe.data.validation
    if wanted is None:
        return []
    with progress_bar() as bar:
        # of several processes the first shows it
        leads = rank_zero_only.rank == 0
        bar.add_task("checking validation images", total=None, note="", visible=leads)
        return _paired(wanted.degraded, wanted.clean)
