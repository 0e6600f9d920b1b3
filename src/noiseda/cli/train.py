"""noiseda train"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe's name (see `noiseda recipes`) or YAML file.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Run folder. [default: runs/NAME]", show_default=False),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue an interrupted run from its folder.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Show the resolved recipe, sizes, memory and time; train nothing.")
    ] = False,
) -> None:
    """Train a restoration network from folders of images, adapting it to real photos.

    The run folder gets model.safetensors, checkpoints, metrics.jsonl and TensorBoard events.
    Ctrl-C stops after the current step and keeps everything; --resume continues.

    **Examples**

        noiseda train denoise-small --set data.clean=clean/ --set data.real=photos/ -o my-run

        noiseda train my-recipe.yaml --set training.images=40000 --dry-run

        noiseda train --resume my-run
    """
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    from noiseda.console import stdout
    from noiseda.errors import OptionError
    from noiseda.images.library import shown
    from noiseda.training import read_recipe
    from noiseda.training import resume as resume_run
    from noiseda.training import train as train_run
    from noiseda.training.probe import probe

    if (recipe is None) == (resume is None):
        raise OptionError("give a recipe to train, or --resume with a run folder (not both)")
    if resume is not None:
        if overrides or output or dry_run:
            raise OptionError("--resume continues a run as it was; it takes no other option")
        result = resume_run(resume)
    else:
        assert recipe is not None
        resolved = read_recipe(recipe, overrides or [])
        if dry_run:
            stdout.print(probe(resolved), highlight=False, markup=False)
            return
        result = train_run(resolved, output or Path("runs") / resolved.name)
    if rank_zero_only.rank:
        # on several devices the first process speaks for all
        return
    if not result.finished:
        stdout.print(
            f"stopped after step {result.step}; continue with: noiseda train --resume "
            f"{shown(result.folder)}",
            highlight=False,
            markup=False,
        )
        raise typer.Exit(130)
    model = shown(result.folder / "model.safetensors")
    stdout.print(f"model: {model}", highlight=False, markup=False)
    for name, scores in result.scores.items():
        stdout.print(
            f"{name}: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f} "
            f"[{scores['protocol']}, {scores['images']} images]",
            highlight=False,
            markup=False,
        )
