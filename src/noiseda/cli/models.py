"""noiseda models"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noiseda.cli.options import TaskOption, tell_assumed

if TYPE_CHECKING:
    from torch import Tensor

    from noiseda.checkpoint import ModelInfo
    from noiseda.networks import RestorationNetwork

models = typer.Typer(help="Look into model files and convert them.", no_args_is_help=True)

_PUBLISHED = (".pth", ".pt")
_FORMATS = (".safetensors", *_PUBLISHED)


@models.command()
def show(
    file: Annotated[Path, typer.Argument(help="model.safetensors, run folder or published .pth.")],
    task: TaskOption = None,
) -> None:
    """What a model file says about itself: network, task, sizes, scores, where it comes from.

    **Example**

        noiseda models show model.safetensors
    """
    import json

    from noiseda import checkpoint, diffusion
    from noiseda.console import stdout

    network, info = checkpoint.open_model(file, task)
    training = checkpoint.open_training_part(file)
    spec = network.spec
    rows = {
        "task": info.task,
        "network": _line(info.network, info.options),
        "parameters": f"{spec.parameters / 1e6:.3f} M",
        "works on": "[0, 1]" if spec.value_range == "unit" else "[-1, 1]",
        "size multiple": str(spec.size_multiple),
    }
    if training.predictor:
        kind, options = diffusion.infer(training.predictor)
        # weights do not tell it
        del options["dropout"]
        rows["noise predictor"] = _line(kind, options)
        rows["its parameters"] = (
            f"{sum(v.numel() for v in training.predictor.values()) / 1e6:.3f} M"
        )
    if training.schedule:
        rows["noise schedule"] = f"{len(training.schedule['gammas'])} steps"
    for key, value in {**info.provenance, **info.scores}.items():
        if value is not None:
            rows[key] = value if isinstance(value, str) else json.dumps(value)
    width = max(map(len, rows))
    for name, text in rows.items():
        stdout.print(f"{name:{width}}  {text}", highlight=False, markup=False)


@models.command()
def convert(
    source: Annotated[
        Path, typer.Argument(help="model.safetensors, run folder or published .pth.")
    ],
    target: Annotated[Path, typer.Argument(help="File to write: .safetensors or .pth.")],
    task: TaskOption = None,
    slim: Annotated[
        bool, typer.Option("--slim", help="Leave out what only further training needs.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the file.")] = False,
) -> None:
    """Write a model in the other format, or without its noise predictor.

    The noise predictor and its schedule come along, so that training can go on from the file
    (training.start), unless --slim. Of a run of noise-space they come from its newest checkpoint.

    **Examples**

        noiseda models convert derain.pth derain.safetensors

        noiseda models convert my-run my-run.pth  # of network.upsampling=aligned
    """
    from noiseda import checkpoint
    from noiseda.console import stdout
    from noiseda.errors import OptionError
    from noiseda.images.library import shown

    if target.suffix.lower() not in _FORMATS:
        raise OptionError(f"{shown(target)}: write a file that ends in {' or '.join(_FORMATS)}")
    if target.exists() and not overwrite:
        raise OptionError(f"{shown(target)} exists; choose another name or pass --overwrite")
    network, info, training = _open(source, task)
    tell_assumed(info)
    # what is written says its task
    info.provenance.pop(checkpoint.ASSUMED, None)
    if slim:
        training = {}
    if target.suffix.lower() in _PUBLISHED:
        checkpoint.write_published(target, network, info.task, training)
    else:
        checkpoint.save(
            target,
            network,
            task=info.task,
            recipe=info.recipe,
            scores=info.scores,
            provenance=info.provenance,
            training=training,
        )
    stdout.print(f"model: {shown(target)}", highlight=False, markup=False)
    if target.suffix.lower() in _PUBLISHED and info.task != _told(target):
        stdout.print(f"open it with --task {info.task}: the format itself does not say")


def _open(
    source: Path, task: str | None
) -> tuple[RestorationNetwork, ModelInfo, dict[str, Tensor]]:
    """Restoration network, what is known of it, and what only training needs."""
    from noiseda import checkpoint
    from noiseda.training import newest_checkpoint

    if newest_checkpoint(source) is not None:
        found = _open_run(source)
        if found is not None:
            return found
    network, info = checkpoint.open_model(source, task)
    return network, info, checkpoint.open_training_part(source).training


def _open_run(
    folder: Path,
) -> tuple[RestorationNetwork, ModelInfo, dict[str, Tensor]] | None:
    """A run's averaged network and noise predictor at its newest checkpoint; None if its objective
    has no noise predictor."""
    from noiseda import checkpoint
    from noiseda.diagnosis import open_run
    from noiseda.training import read_recipe

    recipe = read_recipe(folder / "recipe.yaml")
    if recipe.objective["name"] != "noise-space":
        return None
    run = open_run(folder, averaged=True)
    training = run.objective.predictor.state_dict(prefix=checkpoint.PREDICTOR)
    training |= run.objective.schedule.buffers()
    info = checkpoint.ModelInfo(
        network=run.restorer.name,
        options=run.restorer.options,
        task=recipe.task,
        recipe=recipe.shareable(),
        provenance={"run": folder.resolve().name, "step": run.step},
    )
    if (folder / "model.safetensors").is_file():
        _, product = checkpoint.open_model(folder)
        # of the same step, the product is this network
        if product.provenance.get("step") == run.step:
            info = product
    return run.restorer, info, training


def _told(target: Path) -> str:
    from noiseda.checkpoint import PublishedCheckpoint

    return PublishedCheckpoint(target, {}, {}, {}).task()


def _line(name: str, options: dict[str, Any]) -> str:
    return f"{name} ({', '.join(f'{key} {value}' for key, value in options.items())})"
