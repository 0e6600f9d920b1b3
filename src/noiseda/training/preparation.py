"""What a recipe names, found, opened and built."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from noiseda import adaptation, degradations, networks, runtime
from noiseda.checkpoint import open_model
from noiseda.console import progress_bar
from noiseda.data import (
    Chosen,
    Store,
    TrainingSamples,
    choose,
    is_prepared,
    open_chosen,
    select,
    truth_of,
)
from noiseda.errors import DataError, OptionError
from noiseda.evaluation import check_sizes, pair
from noiseda.random import generator
from noiseda.training.folder import refuse_unfit
from noiseda.training.module import TrainingModule
from noiseda.training.recipe import Recipe


@dataclass
class Prepared:
    """All that a run consists of.

    Attributes:
        recipe: what it was made from.
        module: networks and objective.
        samples: the training data.
        validation: (name, degraded, clean) image files.
    """

    recipe: Recipe
    module: TrainingModule
    samples: TrainingSamples
    validation: list[tuple[str, Path, Path]]


def prepare(recipe: Recipe, start: Path | None = None, checkpoint: Path | None = None) -> Prepared:
    """Build the networks of a recipe and open its data; what can be refused without decoding
    images is refused first.

    Args:
        recipe: what to prepare.
        start: model file that the restoration network's weights come from; None for fresh ones.
        checkpoint: of which the networks will get their weights; only checked here.

    Raises:
        NoiseDAError: data, start model or checkpoint cannot be used.
    """
    runtime.prepare()
    refuse_uneven(recipe, processes(recipe))
    # weights depend on the seed alone, whatever was drawn before in this process
    torch.manual_seed(generator(recipe.seed, 0, "weights").initial_seed())
    restorer = _restorer(recipe, start)
    torch.manual_seed(generator(recipe.seed, 0, "objective weights").initial_seed())
    options = dict(recipe.objective)
    objective = adaptation.build(options.pop("name"), **options)
    objective.attach(restorer)
    wanted = [role for role in ("real", "unpaired", "truth") if role in objective.required]
    for role in wanted:
        if not getattr(recipe.data, role):
            raise DataError(
                f"objective {recipe.objective['name']!r} needs data.{role}; "
                f"give a folder of images with --set data.{role}=FOLDER"
            )
    module = TrainingModule(recipe, restorer, objective)
    if checkpoint is not None:
        refuse_unfit(checkpoint, module)
    if objective.from_source:
        # also if it is not required: samples do not depend on the objective
        wanted.insert(0, "clean")
    chosen = {
        role: _truth(recipe) if role == "truth" else choose(getattr(recipe.data, role))
        for role in wanted
    }
    validation = validation_pairs(recipe)
    stores = {role: _store(recipe, role, found) for role, found in chosen.items()}
    options = dict(recipe.degradation)
    samples = TrainingSamples(
        stores.get("clean"),
        stores.get("real"),
        stores.get("unpaired"),
        degradations.build(options.pop("name"), **options),
        recipe.data.patch,
        recipe.seed,
        stores.get("truth"),
    )
    return Prepared(recipe, module, samples, validation)


def processes(recipe: Recipe) -> int:
    """How many processes train, one a device, each on an equal part of every batch.

    Raises:
        OptionError: the recipe asks for more devices than there are.
    """
    devices, accelerators = recipe.training.devices, 0
    if torch.accelerator.is_available():
        accelerators = torch.accelerator.device_count()
    if devices == "auto":
        devices = max(accelerators, 1)
    elif 0 < accelerators < devices:
        raise OptionError(
            f"training.devices {devices}: this machine has {accelerators}; lower it or use auto"
        )
    return devices * recipe.training.nodes


def refuse_uneven(recipe: Recipe, ranks: int) -> None:
    """Refuse a batch that cannot be shared equally.

    Raises:
        OptionError: `data.batch` is no multiple of `ranks`.
    """
    if recipe.data.batch % ranks:
        raise OptionError(
            f"data.batch {recipe.data.batch} must be a multiple of the {ranks} devices"
        )


def workers(recipe: Recipe) -> int:
    """Loader processes: what the recipe says, else none on small machines, where they would take
    cores from the networks, and a few on large ones."""
    if recipe.data.workers is not None:
        return recipe.data.workers
    cores = os.cpu_count() or 1
    return 0 if cores <= 4 else min(8, cores // 2)


def _restorer(recipe: Recipe, start: Path | None) -> networks.RestorationNetwork:
    options = dict(recipe.network)
    name = options.pop("name")
    if start is None:
        return networks.build(name, **options)
    network, _ = open_model(start, recipe.task)
    if (network.name, network.options) != (name, options):
        differing = [key for key in options if network.options.get(key) != options[key]]
        raise OptionError(
            f"{start}: its network is {network.name!r} {network.options}; the recipe's differs in "
            f"{', '.join(differing) or 'its name'}; make them equal"
        )
    return network.train()


def _store(recipe: Recipe, role: str, chosen: Chosen) -> Store:
    with progress_bar("images") as bar:
        task = bar.add_task(f"decoding {role} images", total=None, note="", visible=False)
        return open_chosen(
            chosen,
            recipe.data.cache,
            lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )


def _truth(recipe: Recipe) -> Chosen:
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
        chosen = select([photos])
        patterns = photos.include or photos.exclude
        pairs = pair(photos.folder, folder, only={name for name, _ in chosen} if patterns else None)
        check_sizes(pairs)
        truth = {photo: clean for _, photo, clean in pairs}
        found.paths.extend(truth[photo] for _, photo in chosen)
    return found


def validation_pairs(recipe: Recipe) -> list[tuple[str, Path, Path]]:
    """(name, degraded, clean) files of `data.validation`; none if the recipe has no such folders.

    Raises:
        NoiseDAError: they cannot be paired, or differ in size.
    """
    wanted = recipe.data.validation
    if wanted is None:
        return []
    chosen = {name for name, _ in select([wanted.degraded])}
    patterns = wanted.degraded.include or wanted.degraded.exclude
    pairs = pair(wanted.degraded.folder, wanted.clean, only=chosen if patterns else None)
    with progress_bar() as bar:
        # of several processes the first shows it
        leads = rank_zero_only.rank == 0
        bar.add_task("checking validation images", total=None, note="", visible=leads)
        # now and not at the first validation, hours later
        check_sizes(pairs)
    return pairs
