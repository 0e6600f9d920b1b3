"""A run folder opened to look into: its recipe, and its networks at a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from noiseda import adaptation, networks
from noiseda.adaptation import NoiseSpace
from noiseda.errors import RunError
from noiseda.networks import RestorationNetwork
from noiseda.training import Recipe, newest_checkpoint, read_recipe
from noiseda.training.folder import CHECKPOINTS, RECIPE
from noiseda.training.module import TrainingModule


@dataclass(frozen=True)
class OpenedRun:
    """A run at one of its checkpoints.

    Attributes:
        recipe: of the run, with overrides.
        restorer: the restoration network; only its weights ask for gradients.
        objective: with the noise predictor, without dropout.
        checkpoint: the file that the weights are from.
        step: steps done then.
    """

    recipe: Recipe
    restorer: RestorationNetwork
    objective: NoiseSpace
    checkpoint: Path
    step: int


def open_run(
    folder: Path,
    overrides: Sequence[str] = (),
    checkpoint: Path | None = None,
    averaged: bool = False,
) -> OpenedRun:
    """Open a run folder at a checkpoint.

    Args:
        folder: of a run, finished or not.
        overrides: texts `key.sub=value` that change its recipe, see `read_recipe`.
        checkpoint: the newest in the folder if None.
        averaged: take the restoration network's averaged weights, which are the product, instead
            of those that the gradient changes.

    Raises:
        RunError: not a run folder, its objective has no noise predictor, it has no checkpoint, or
            that is damaged or of other networks.
        OptionError: the recipe or an override is wrong.
    """
    if not (folder / RECIPE).is_file():
        raise RunError(f"{folder}: not a run folder (it has no {RECIPE})")
    recipe = read_recipe(folder / RECIPE, overrides)
    options = dict(recipe.objective)
    name = options.pop("name")
    objective = adaptation.build(name, **options)
    if not isinstance(objective, NoiseSpace):
        raise RunError(
            f"{folder}: its objective {name!r} has no noise predictor; "
            "give a run of the objective 'noise-space'"
        )
    checkpoint = checkpoint or newest_checkpoint(folder)
    if checkpoint is None:
        raise RunError(
            f"{folder / CHECKPOINTS}: no checkpoint, which alone holds the noise predictor; name "
            f"one with --checkpoint, or continue the run with: noiseda train --resume {folder}"
        )
    options = dict(recipe.network)
    module = TrainingModule(recipe, networks.build(options.pop("name"), **options), objective)
    step = _load(module, checkpoint)
    restorer = module.averaged if averaged else module.restorer
    return OpenedRun(
        recipe,
        restorer.requires_grad_(True).eval(),
        objective.requires_grad_(False).eval(),
        checkpoint,
        step,
    )


def _load(module: TrainingModule, checkpoint: Path) -> int:
    """Give the networks the checkpoint's weights, all of them; the number of its step."""
    if not checkpoint.is_file():
        raise RunError(f"{checkpoint}: no such checkpoint; look into the run's {CHECKPOINTS}/")
    try:
        # mapped, because the optimiser's state in it is large and not needed
        found = torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)
        state, step = dict(found["state_dict"]), int(found["global_step"])
    except Exception:
        # damaged bytes make the unpickler stumble in any way
        raise RunError(
            f"{checkpoint}: damaged, or no checkpoint of a run; name another with --checkpoint"
        ) from None
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        # torch lists all differences below a title
        first = str(error).splitlines()[1].strip().rstrip(".")
        raise RunError(
            f"{checkpoint}: its weights are not of the networks in the run's recipe: {first[:200]}"
        ) from None
    return step
