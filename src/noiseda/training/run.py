"""A recipe becomes a run folder; a run folder continues as if it had never stopped."""

from __future__ import annotations

import json
import logging
import os
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from noiseda import adaptation, degradations, images, networks, runtime
from noiseda.checkpoint import open_model, save
from noiseda.console import progress_bar
from noiseda.data import BatchNumbers, Store, TrainingSamples, loader, open_store, select
from noiseda.errors import DataError, NonFiniteLossError, OptionError, RunError
from noiseda.evaluation import pair
from noiseda.random import generator
from noiseda.training.callbacks import (
    LogTerms,
    ProgressBar,
    StopOnRequest,
    Validate,
    checkpoints_every,
)
from noiseda.training.logs import JsonLines
from noiseda.training.module import TrainingModule
from noiseda.training.recipe import Recipe, read_recipe

MODEL = "model.safetensors"


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        folder: the run folder.
        finished: False if it was interrupted; `resume(folder)` continues it.
        step: steps done.
        scores: validation scores of the saved model, if the recipe has a validation folder.
    """

    folder: Path
    finished: bool
    step: int
    scores: dict[str, Any] = field(default_factory=dict)


def train(recipe: Recipe, folder: Path, description: str | None = None) -> RunResult:
    """Train in a new run folder.

    Args:
        recipe: what to do.
        folder: must be absent or empty.
        description: of the progress bar; the recipe's name by default.

    Raises:
        NoiseDAError: data, start model or folder cannot be used, or the loss is not finite.
    """
    # the other processes of a run on several devices find the folder made by the first
    leads = rank_zero_only.rank == 0
    if leads and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} exists already; continue it with --resume {folder}, or choose another "
            "folder with -o"
        )
    prepared = prepare(recipe)
    if leads:
        _make_folder(folder, recipe)
    return _fit(prepared, folder, None, description or recipe.name)


def _make_folder(folder: Path, recipe: Recipe) -> None:
    try:
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "environment.json").write_text(json.dumps(runtime.environment(), indent=2))
        # last, because its presence says that the folder can be resumed
        (folder / "recipe.yaml").write_text(recipe.to_yaml())
    except OSError as error:
        raise RunError(f"{folder}: cannot write the run folder: {error.strerror}") from None


def resume(folder: Path, description: str | None = None) -> RunResult:
    """Continue a run from its folder alone; the result is that of a run never interrupted.

    Raises:
        RunError: not a run folder, the run is finished, or its checkpoint is damaged.
    """
    if not (folder / "recipe.yaml").is_file():
        raise RunError(f"{folder}: not a run folder (it has no recipe.yaml)")
    recipe = read_recipe(folder / "recipe.yaml")
    if (folder / MODEL).is_file():
        _, info = open_model(folder / MODEL)
        if info.provenance.get("step") == recipe.steps:
            raise RunError(f"{folder}: this run is finished; its model is {folder / MODEL}")
    checkpoint = newest_checkpoint(folder)
    # a zip file's table of contents is at its end: it shows that nothing is cut off
    if checkpoint is not None and not zipfile.is_zipfile(checkpoint):
        raise RunError(f"{checkpoint}: damaged; remove it to continue from what was before it")
    # with a checkpoint the start model is history; it may be gone
    prepared = prepare(recipe, load_start=checkpoint is None)
    return _fit(prepared, folder, checkpoint, description or recipe.name)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run folder; None if it has none yet."""
    found = (folder / "checkpoints").glob("*.ckpt")
    return max((path for path in found if path.stem.isdigit()), default=None)


@dataclass
class Prepared:
    """What a recipe names, found, opened and built."""

    recipe: Recipe
    module: TrainingModule
    samples: TrainingSamples
    validation: list[tuple[str, Path, Path]]


def prepare(recipe: Recipe, load_start: bool = True) -> Prepared:
    """Open the data and build the networks of a recipe.

    Args:
        recipe: what to prepare.
        load_start: read the weights of `training.start`, if the recipe names one.

    Raises:
        NoiseDAError: see `train`.
    """
    runtime.prepare()
    # weights depend on the seed alone, whatever was drawn before in this process
    torch.manual_seed(generator(recipe.seed, 0, "weights").initial_seed())
    restorer = _restorer(recipe, load_start)
    torch.manual_seed(generator(recipe.seed, 0, "objective weights").initial_seed())
    options = dict(recipe.objective)
    objective = adaptation.build(options.pop("name"), **options)
    objective.attach(restorer)
    for role in ("real", "unpaired"):
        if role in objective.required and not getattr(recipe.data, role):
            raise DataError(
                f"objective {recipe.objective['name']!r} needs data.{role}; "
                f"give a folder of images with --set data.{role}=FOLDER"
            )
    if recipe.data.patch % objective.patch_multiple:
        raise OptionError(
            f"data.patch {recipe.data.patch} must be a multiple of {objective.patch_multiple}, "
            "because the noise predictor halves it at each of its levels"
        )
    stores = {
        role: _store(recipe, role)
        for role in ("clean", "real", "unpaired")
        if role == "clean" or role in objective.required
    }
    options = dict(recipe.degradation)
    samples = TrainingSamples(
        stores["clean"],
        stores.get("real"),
        stores.get("unpaired"),
        degradations.build(options.pop("name"), **options),
        recipe.data.patch,
        recipe.seed,
    )
    module = TrainingModule(recipe, restorer, objective)
    return Prepared(recipe, module, samples, _validation(recipe))


def _restorer(recipe: Recipe, load_start: bool) -> networks.RestorationNetwork:
    options = dict(recipe.network)
    name = options.pop("name")
    if recipe.training.start is None or not load_start:
        return networks.build(name, **options)
    network, _ = open_model(recipe.training.start, recipe.task)
    if (network.name, network.options) != (name, options):
        differing = [key for key in options if network.options.get(key) != options[key]]
        raise OptionError(
            f"{recipe.training.start}: its network is {network.name!r} {network.options}; the "
            f"recipe's differs in {', '.join(differing) or 'its name'}; make them equal"
        )
    return network.train()


def _store(recipe: Recipe, role: str) -> Store:
    paths = [path for _, path in select(getattr(recipe.data, role))]
    with progress_bar("images") as bar:
        task = bar.add_task(f"decoding {role} images", total=None, note="", visible=False)
        return open_store(
            paths,
            recipe.data.cache,
            lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )


def _validation(recipe: Recipe) -> list[tuple[str, Path, Path]]:
    wanted = recipe.data.validation
    if wanted is None:
        return []
    chosen = {path for _, path in select([wanted.degraded])}
    pairs = [item for item in pair(wanted.degraded.folder, wanted.clean) if item[1] in chosen]
    for _, degraded, clean in pairs:
        # now and not at the first validation, hours later
        if images.size(degraded) != images.size(clean):
            raise DataError(f"{degraded}: not of the size of {clean}; validation needs equal sizes")
    return pairs


def workers(recipe: Recipe) -> int:
    """Loader processes: what the recipe says, else none on small machines, where they would take
    cores from the networks, and a few on large ones."""
    if recipe.data.workers is not None:
        return recipe.data.workers
    cores = os.cpu_count() or 1
    return 0 if cores <= 4 else min(8, cores // 2)


def _fit(prepared: Prepared, folder: Path, checkpoint: Path | None, description: str) -> RunResult:
    recipe, module = prepared.recipe, prepared.module
    start = int(checkpoint.stem) if checkpoint else 0
    _quiet()
    stopper = StopOnRequest(folder / "checkpoints")
    # in this order after every step: what a checkpoint must not miss comes before it is written
    callbacks: list[lightning.Callback] = [LogTerms(recipe.every(recipe.training.log_every))]
    validate = None
    if prepared.validation:
        validate = Validate(prepared.validation, recipe.every(recipe.training.validate_every))
        callbacks.append(validate)
    callbacks += [
        ProgressBar(description),
        stopper,
        checkpoints_every(folder / "checkpoints", recipe.every(recipe.training.checkpoint_every)),
    ]
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=recipe.training.devices,
        num_nodes=recipe.training.nodes,
        precision=recipe.training.precision,
        max_steps=recipe.steps,
        max_epochs=-1,
        min_epochs=0,
        logger=[
            TensorBoardLogger(folder, name="", version="", purge_step=start + 1),
            JsonLines(folder / "metrics.jsonl", recipe.data.batch, start),
        ],
        callbacks=callbacks,
        gradient_clip_val=recipe.training.clip_norm,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    if recipe.data.batch % trainer.world_size:
        raise OptionError(
            f"data.batch {recipe.data.batch} must be a multiple of the {trainer.world_size} devices"
        )
    numbers = BatchNumbers(
        recipe.steps, recipe.data.batch, start, trainer.global_rank, trainer.world_size
    )
    batches = loader(prepared.samples, numbers, workers(recipe))
    try:
        trainer.fit(module, batches, ckpt_path=checkpoint, weights_only=True)
    except NonFiniteLossError as error:
        kept = newest_checkpoint(folder)
        remedy = f"the last good checkpoint is {kept}" if kept else "no checkpoint was written yet"
        raise NonFiniteLossError(f"{error}; {remedy}. Try a lower training.learning_rate") from None
    step = trainer.global_step
    scores: dict[str, Any] = {}
    if trainer.is_global_zero:
        if validate:
            means = validate.score(module)
            scores["validation"] = {
                "protocol": validate.PROTOCOL,
                **means,
                "images": len(prepared.validation),
            }
        provenance = {
            "step": step,
            "images": step * recipe.data.batch,
            "steps": recipe.steps,
            "environment": runtime.environment(),
        }
        save(
            folder / MODEL,
            module.averaged,
            task=recipe.task,
            recipe=recipe.shareable(),
            scores=scores,
            provenance=provenance,
        )
    return RunResult(folder, step >= recipe.steps, step, scores)


def _quiet() -> None:
    """Lightning's advice is for its own users; ours see one progress bar."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
