"""noiseda diagnose"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Samplers(StrEnum):
    ddpm = "ddpm"
    ddim = "ddim"


def diagnose(
    run: Annotated[Path, typer.Argument(help="Run folder of a noise-space training.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for the results. [default: RUN/diagnosis]",
            show_default=False,
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=2, help="Crops to look at.")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Of all random draws.")] = 0,
    patch: Annotated[
        int | None,
        typer.Option(
            help="Height and width of the crops. [default: as in the run]", show_default=False
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Look into this one. [default: the newest]", show_default=False),
    ] = None,
    averaged: Annotated[
        bool,
        typer.Option(
            "--averaged", help="Restore with the averaged weights, not those being trained."
        ),
    ] = False,
    samples: Annotated[
        int, typer.Option(min=0, help="Images to draw from the noise predictor.")
    ] = 0,
    sampler: Annotated[
        Samplers, typer.Option(help="How they are drawn; ddim needs fewer steps.")
    ] = Samplers.ddim,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps of the noise schedule that drawing takes.")
    ] = 50,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe's key; repeatable."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier diagnosis there.")] = False,
) -> None:
    """Show why and when the diffusion loss moves the restoration of real photos.

    At twelve noise levels: how the error of the predicted noise depends on the conditions, whether
    the predictor uses them, and how large the gradient is that reaches the restored photos and the
    network, and whether it points to the clean images. Writes diagnosis.json, diagnosis.png and
    diagnosis.md. Real photos are those of data.validation, whose ground truth shows the direction.
    With --samples also samples.png: images that the predictor draws given the restored ones.

    **Examples**

        noiseda diagnose my-run

        noiseda diagnose my-run --images 64 --seed 1 -o look

        noiseda diagnose my-run --samples 4 --sampler ddpm --steps 1000

        noiseda diagnose my-run --set "data.validation={degraded: noisy, clean: truth}"
    """
    from noiseda.console import stdout
    from noiseda.diagnosis import Drawing
    from noiseda.diagnosis import diagnose as diagnose_run
    from noiseda.images.library import shown

    found = diagnose_run(
        run,
        output,
        images=images,
        seed=seed,
        patch=patch,
        checkpoint=checkpoint,
        averaged=averaged,
        overrides=overrides or [],
        overwrite=overwrite,
        drawing=Drawing(samples, sampler.value, steps) if samples else None,
    )
    for line in found.verdict:
        stdout.print(f"- {line}", highlight=False, markup=False)
    if samples:
        stdout.print(f"drawn: {shown(found.folder / 'samples.png')}", highlight=False, markup=False)
    stdout.print(f"plots: {shown(found.folder / 'diagnosis.png')}", highlight=False, markup=False)
