"""What a recipe names, found, opened and built."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from noiseda import adaptation, diffusion, networks, runtime
from noiseda.adaptation import NoiseSpace, Objective
from noiseda.checkpoint import open_model, open_training_part
from noiseda.data import (
    TrainingSamples,
    choose,
)
from noiseda.errors import DataError, ModelFileError, OptionError
from noiseda.random import generator
from noiseda.training.folder import refuse_unfit
from noiseda.training.module import TrainingModule
from noiseda.training.recipe import Recipe
from noiseda.training.sources import degradation, open_role, source, truth, validation_pairs


@dataclass
class Prepared:
    """All that a run consists of.

    Attributes:
        recipe: what it was made from.
        module: networks and objective.
        samples: the training data.
        validation: (name, degraded, clean) image files.
        continues: whether the noise predictor's weights are the start model's.
    """

    recipe: Recipe
    module: TrainingModule
    samples: TrainingSamples
    validation: list[tuple[str, Path, Path]]
    continues: bool = False


def prepare(recipe: Recipe, start: Path | None = None, checkpoint: Path | None = None) -> Prepared:
    """Build the networks of a recipe and open its data; what can be refused without decoding
    images is refused first.

    Args:
        recipe: what to prepare.
        start: model file that the restoration network's weights come from, and those of the
            noise predictor if it holds one and the objective has one; None for fresh ones.
        checkpoint: of which the networks will get their weights; only checked here.

    Raises:
        NoiseDAError: data, start model or checkpoint cannot be used.
    """
    runtime.prepare()
    refuse_uneven(recipe, processes(recipe))
    refuse_unable(recipe)
    # weights depend on the seed alone, whatever was drawn before in this process
    torch.manual_seed(generator(recipe.seed, 0, "weights").initial_seed())
    restorer = _restorer(recipe, start)
    torch.manual_seed(generator(recipe.seed, 0, "objective weights").initial_seed())
    options = dict(recipe.objective)
    objective = adaptation.build(options.pop("name"), **options)
    objective.attach(restorer)
    continues = start is not None and _start_predictor(objective, start)
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
    chosen = {}
    if objective.needs_source:
        # also if it is not required: samples do not depend on the objective
        chosen = source(recipe)
    chosen |= {
        role: truth(recipe) if role == "truth" else choose(getattr(recipe.data, role))
        for role in wanted
    }
    validation = validation_pairs(recipe)
    stores = {role: open_role(recipe, role, found) for role, found in chosen.items()}
    samples = TrainingSamples(
        stores.get("clean"),
        stores.get("real"),
        stores.get("unpaired"),
        degradation(recipe),
        recipe.data.patch,
        recipe.seed,
        stores.get("truth"),
        stores.get("synthetic"),
        recipe.data.enlarge,
    )
    return Prepared(recipe, module, samples, validation, continues)


def layout(recipe: Recipe) -> tuple[int, int]:
    """On how many devices of each machine, and on how many machines, a run trains, one process a
    device.

    Raises:
        OptionError: the recipe asks for more devices than there are, or for other numbers than
            torchrun or SLURM has started.
    """
    devices, nodes, accelerators = recipe.training.devices, recipe.training.nodes, 0
    if torch.accelerator.is_available():
        accelerators = torch.accelerator.device_count()
    manager, started = _started()
    if devices == "auto":
        devices = started.get("devices", max(accelerators, 1))
    elif 0 < accelerators < devices:
        raise OptionError(
            f"training.devices {devices}: this machine has {accelerators}; lower it or use auto"
        )
    for key, value in (("devices", devices), ("nodes", nodes)):
        if started.get(key, value) != value:
            raise OptionError(
                f"training.{key} {value}: {manager} has started {started[key]}; make them equal"
            )
    return devices, nodes


def _started() -> tuple[str, dict[str, int]]:
    """Who started this process as one of several, and how many: "devices" on each machine, and
    "nodes"; empty if nobody did."""
    known = os.environ
    if "TORCHELASTIC_RUN_ID" in known:
        named = {"devices": "LOCAL_WORLD_SIZE", "nodes": "GROUP_WORLD_SIZE"}
        return "torchrun", {key: int(known[name]) for key, name in named.items() if name in known}
    # as Lightning tells it: an interactive shell's processes are not SLURM's
    tasks = int(known.get("SLURM_NTASKS", 1))
    if tasks > 1 and known.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        nodes = int(known.get("SLURM_NNODES", 1))
        return "SLURM", {"devices": tasks // nodes, "nodes": nodes}
    return "", {}


def processes(recipe: Recipe) -> int:
    """How many processes train, each on an equal part of every batch.

    Raises:
        OptionError: see `layout`.
    """
    devices, nodes = layout(recipe)
    return devices * nodes


def refuse_uneven(recipe: Recipe, ranks: int) -> None:
    """Refuse a batch that cannot be shared equally.

    Raises:
        OptionError: `data.batch` is no multiple of `ranks`, or a device's share of it none of
            `training.accumulate`.
    """
    batch, parts = recipe.data.batch, recipe.training.accumulate
    if batch % ranks:
        raise OptionError(f"data.batch {batch} must be a multiple of the {ranks} devices")
    if batch // ranks % parts:
        raise OptionError(
            f"training.accumulate {parts}: each device's {batch // ranks} images of the batch must "
            "be a multiple of it"
        )


def refuse_unable(recipe: Recipe) -> None:
    """Refuse what this machine cannot do.

    Raises:
        OptionError: 16-bit floats without CUDA, or compilation for the CPU without a compiler.
    """
    device = runtime.best_device().type
    if recipe.training.precision == "16-mixed" and device != "cuda":
        raise OptionError(
            f"training.precision 16-mixed needs CUDA, this machine has {device}; use bf16-mixed"
        )
    if recipe.training.compile and device == "cpu":
        compilers = [os.environ.get("CXX", ""), "g++", "clang++"]
        if not any(shutil.which(name) for name in compilers if name):
            raise OptionError(
                "training.compile needs a C++ compiler on the CPU, and neither g++ nor clang++ is "
                "here; install one or leave it out"
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
            f"{', '.join(differing) or 'its name'}; make them equal, or set network=start"
        )
    return network.train()


def _start_predictor(objective: Objective, start: Path) -> bool:
    """Give the noise predictor the weights of the start model, if both are there; whether they
    are.

    Raises:
        OptionError: the file's noise predictor is not the recipe's.
        ModelFileError: its weights belong to no noise predictor, or are not finite.
    """
    state = open_training_part(start).predictor
    if not state or not isinstance(objective, NoiseSpace):
        return False
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelFileError(f"{start}: weights are not finite: {', '.join(broken[:3])}")
    try:
        objective.predictor.load_state_dict(state, strict=True)
    except RuntimeError as error:
        try:
            kind, there = diffusion.infer(state)
        except ModelFileError as reason:
            raise ModelFileError(f"{start}: {reason}") from None
        wanted, here = diffusion.infer(objective.predictor.state_dict())
        theirs, ours = {"name": kind, **there}, {"name": wanted, **here}
        different = [
            f"{key} is {value} there and {ours[key]} in the recipe"
            for key, value in theirs.items()
            if key in ours and ours[key] != value
        ]
        reason = ", ".join(different) or " ".join(str(error).split())[:200]
        raise OptionError(
            f"{start}: its noise predictor is not the recipe's: {reason}; make objective.predictor "
            "equal, or leave the predictor out with: noiseda models convert --slim"
        ) from None
    return True
