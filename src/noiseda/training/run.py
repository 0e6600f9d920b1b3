"""A recipe becomes a run folder; a run folder continues as if it had never stopped."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from noiseda import runtime
from noiseda.adaptation import NoiseSpace
from noiseda.checkpoint import PREDICTOR, open_model, save
from noiseda.console import progress_bar
from noiseda.data import BatchNumbers, loader
from noiseda.errors import NonFiniteLossError, OptionError, RunError
from noiseda.evaluation import TASK_PROTOCOLS
from noiseda.training.callbacks import (
    LastCheckpoint,
    LogTerms,
    ProgressBar,
    StopOnRequest,
    Validate,
    checkpoints_every,
)
from noiseda.training.folder import (
    CHECKPOINTS,
    MODEL,
    RECIPE,
    START,
    fill,
    newest_checkpoint,
    refuse_unwritable,
    reserved,
)
from noiseda.training.logs import JsonLines
from noiseda.training.pictures import BatchPictures
from noiseda.training.preparation import Prepared, layout, prepare, refuse_uneven, workers
from noiseda.training.reading import read_recipe
from noiseda.training.recipe import Recipe
from noiseda.training.teaching import Teaching


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


def train(
    recipe: Recipe,
    folder: Path,
    description: str | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> RunResult:
    """Train in a new run folder.

    Args:
        recipe: what to do.
        folder: must be absent or empty.
        description: of the progress bar; the recipe's name by default.
        callbacks: called beside this module's own.

    Raises:
        NoiseDAError: data, start model or folder cannot be used, or the loss is not finite.
    """
    # the other processes of a run on several devices find the folder made by the first
    leads = rank_zero_only.rank == 0
    with reserved(folder) if leads else contextlib.nullcontext():
        prepared = prepare(recipe, recipe.training.start)
        if leads:
            objective = prepared.module.objective
            kept = None
            if prepared.continues and isinstance(objective, NoiseSpace):
                kept = objective.predictor.state_dict(prefix=PREDICTOR)
            fill(folder, recipe, prepared.module.restorer, kept)
    return _fit(prepared, folder, None, description or recipe.name, callbacks)


def resume(
    folder: Path,
    description: str | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> RunResult:
    """Continue a run from its folder alone; the result is that of a run never interrupted.

    Args:
        folder: the run folder.
        description, callbacks: see `train`.

    Raises:
        RunError: not a run folder, the run is finished, its checkpoint is damaged or does not fit
            the folder's recipe, or the folder cannot be written.
        NoiseDAError: see `train`.
    """
    if not (folder / RECIPE).is_file():
        raise RunError(f"{folder}: not a run folder (it has no {RECIPE})")
    recipe = read_recipe(folder / RECIPE)
    if is_finished(folder):
        raise RunError(f"{folder}: this run is finished; its model is {folder / MODEL}")
    refuse_unwritable(folder)
    checkpoint = newest_checkpoint(folder)
    # with a checkpoint the start model is history
    start = None
    if checkpoint is None and recipe.training.start is not None:
        copy = folder / START
        start = copy if copy.is_file() else recipe.training.start
    prepared = prepare(recipe, start, checkpoint)
    return _fit(prepared, folder, checkpoint, description or recipe.name, callbacks)


def is_finished(folder: Path) -> bool:
    """Whether a run folder holds the model of the last step, not one of an interrupted run.

    Raises:
        NoiseDAError: its recipe or model file is damaged.
    """
    if not (folder / MODEL).is_file():
        return False
    _, info = open_model(folder / MODEL)
    return info.provenance.get("step") == read_recipe(folder / RECIPE).steps


def _fit(
    prepared: Prepared,
    folder: Path,
    checkpoint: Path | None,
    description: str,
    others: Sequence[lightning.Callback],
) -> RunResult:
    recipe, module = prepared.recipe, prepared.module
    _quiet()
    bar = ProgressBar(description)
    validate = None
    if prepared.validation:
        validate = Validate(prepared.validation, recipe.every(recipe.training.validate_every), bar)
    teaching = None
    if module.objective.rounds:
        teaching = Teaching(module, prepared.samples, recipe.steps, folder)
    step = int(checkpoint.stem) if checkpoint else 0
    while True:
        stop = teaching.begin(step, module, checkpoint) if teaching else recipe.steps
        callbacks = [*([validate] if validate else []), *others, bar]
        trainer, asked = _trainer(recipe, folder, step, stop, callbacks)
        _train_until(trainer, prepared, folder, checkpoint)
        step = trainer.global_step
        if step < stop or asked.requested or step >= recipe.steps:
            break
        # the next round goes on as if the run had been interrupted here
        checkpoint = newest_checkpoint(folder)
    scores: dict[str, Any] = {}
    if trainer.is_global_zero:
        if validate:
            with progress_bar("images") as final:
                task = final.add_task("validating", total=len(prepared.validation), note="")
                means = validate.score(module, lambda: final.advance(task))
            scores["validation"] = {
                "protocol": TASK_PROTOCOLS[recipe.task],
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


def _trainer(
    recipe: Recipe, folder: Path, start: int, stop: int, callbacks: Sequence[lightning.Callback]
) -> tuple[lightning.Trainer, StopOnRequest]:
    """A trainer from step `start` to step `stop`, and what knows whether it was asked to end
    before."""
    every = recipe.every(recipe.training.checkpoint_every)
    asked = StopOnRequest(folder / CHECKPOINTS)
    # in this order after every step: what a checkpoint must not miss comes before it is written
    ordered = [
        LogTerms(recipe.every(recipe.training.log_every)),
        BatchPictures(recipe.every(recipe.training.images_every)),
        *callbacks,
        asked,
        LastCheckpoint(folder / CHECKPOINTS, every),
        checkpoints_every(folder / CHECKPOINTS, every),
    ]
    devices, nodes = layout(recipe)
    try:
        trainer = lightning.Trainer(
            accelerator="auto",
            devices=devices,
            num_nodes=nodes,
            precision=recipe.training.precision,
            max_steps=stop,
            max_epochs=-1,
            min_epochs=0,
            logger=[
                TensorBoardLogger(folder, name="", version="", purge_step=start + 1),
                JsonLines(folder / "metrics.jsonl", recipe.data.batch, start),
            ],
            callbacks=ordered,
            gradient_clip_val=recipe.training.clip_norm,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
    except ValueError as error:
        # of numbers other than those that the job manager has started
        raise OptionError(
            f"training.devices {devices}, training.nodes {nodes}: {' '.join(str(error).split())}"
        ) from None
    return trainer, asked


def _train_until(
    trainer: lightning.Trainer, prepared: Prepared, folder: Path, checkpoint: Path | None
) -> None:
    """Train to the trainer's last step, from the checkpoint if there is one."""
    recipe = prepared.recipe
    refuse_uneven(recipe, trainer.world_size)
    start = int(checkpoint.stem) if checkpoint else 0
    numbers = BatchNumbers(
        recipe.steps, recipe.data.batch, start, trainer.global_rank, trainer.world_size
    )
    batches = loader(prepared.samples, numbers, workers(recipe))
    try:
        with _handlers(), _one_voice():
            trainer.fit(prepared.module, batches, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:
        # how Lightning ends on a Ctrl-C that comes before the first step, or on a second one
        raise KeyboardInterrupt from None
    except NonFiniteLossError as error:
        kept = newest_checkpoint(folder)
        remedy = f"the last good checkpoint is {kept}" if kept else "no checkpoint was written yet"
        raise NonFiniteLossError(f"{error}; {remedy}. Try a lower training.learning_rate") from None


@contextlib.contextmanager
def _handlers() -> Iterator[None]:
    """Signal handlers are afterwards what they were: Lightning may leave one that ignores further
    Ctrl-Cs, and one that keeps its trainer, and with it all that was trained, in memory."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _one_voice() -> Iterator[None]:
    """A full disk is told of once, not with a traceback by TensorBoard's thread as well."""
    before = threading.excepthook

    def hook(told: threading.ExceptHookArgs) -> None:
        if not isinstance(told.exc_value, OSError):
            before(told)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def _quiet() -> None:
    """Lightning's advice is for its own users; ours see one progress bar."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
