"""noiseda restore"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noiseda.cli.options import (
    Device,
    Memory,
    TaskOption,
    all_there,
    parse_memory,
    tell_assumed,
)

if TYPE_CHECKING:
    from noiseda.restoration import Job, Restorer


def restore(
    inputs: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder for the results; a file for one input file."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            help="model.safetensors, a run folder, a published .pth, or a weights file that "
            "spandrel recognises. [default: the model that ships with noiseda for the task, a "
            "denoiser if none is named]",
            show_default=False,
        ),
    ] = None,
    task: TaskOption = None,
    memory: Memory = None,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="0 keeps the photo, 1 restores it fully.")
    ] = 1.0,
    overwrite: Annotated[
        bool, typer.Option(help="Replace results that exist; otherwise they are kept.")
    ] = False,
    device: Device = None,
) -> None:
    """Restore photos. Folders keep their tree, files their name, depth, alpha, ICC and EXIF.

    **Examples**

        noiseda restore photo.jpg -o restored

        noiseda restore photo.jpg -o restored --model model.safetensors

        noiseda restore holiday/ -o restored --model my-run --memory 512MB
    """
    from rich.markup import escape

    from noiseda import runtime
    from noiseda.checkpoint import shipped_model
    from noiseda.console import progress_bar, stderr, stdout
    from noiseda.errors import NoiseDAError
    from noiseda.restoration import load, plan_jobs, restore_files

    budget = parse_memory(memory)
    jobs = plan_jobs(inputs, output)
    runtime.prepare()
    if model is None:
        model = shipped_model(task or "denoise")
    restorer = load(model, task=task, device=device, memory=budget)
    tell_assumed(restorer.info)
    pending = [job for job in jobs if overwrite or not job.target.exists()]
    total = _pixels(pending, restorer, refuse=len(pending) == len(jobs))
    with progress_bar(counted=False) as bar:
        task_id = bar.add_task("restoring", total=total, note="")
        number = 0

        def started(job: Job) -> None:
            nonlocal number
            number += 1
            note = f"{number}/{len(pending)} {escape(job.source.name)}"
            bar.update(task_id, note=note)

        outcome = restore_files(
            restorer,
            jobs,
            strength=strength,
            overwrite=overwrite,
            started=started,
            advance=lambda pixels: bar.advance(task_id, pixels),
        )
    if not outcome.done and not outcome.interrupted:
        if len(outcome.failed) == 1 and len(jobs) == 1:
            raise NoiseDAError(outcome.failed[0][1])
        if outcome.kept and not outcome.failed:
            raise NoiseDAError(all_there(outcome.kept[0], len(outcome.kept)))
    stdout.print(f"{len(outcome.done)} restored into {output}", highlight=False, markup=False)
    if outcome.approximate:
        stderr.print(
            f"{len(outcome.approximate)} too large for the memory were restored in blended tiles, "
            "because each pixel of this network depends on the whole photo; more --memory comes "
            "closer to that",
            soft_wrap=True,
        )
    if outcome.kept:
        stdout.print(f"{len(outcome.kept)} existed and were kept (--overwrite replaces them)")
    for _, reason in outcome.failed:
        stderr.print(f"failed: {reason}", highlight=False, markup=False, soft_wrap=True)
    if outcome.interrupted:
        stderr.print("interrupted; run the same command again to do the rest")
        raise typer.Exit(130)
    if outcome.failed:
        raise typer.Exit(1 if outcome.done or outcome.kept else 2)


def _pixels(jobs: list[Job], restorer: Restorer, refuse: bool) -> int:
    """Pixels of all jobs that can be done; why the others cannot is told when their turn comes.

    Args:
        jobs: what is to be done.
        restorer: the network.
        refuse: say so now if the memory is too small for every one of them.

    Raises:
        OptionError: it is, and `refuse`.
    """
    from noiseda.errors import ImageError, OptionError
    from noiseda.restoration import measure

    total = 0
    too_large: list[OptionError] = []
    for job in jobs:
        try:
            total += measure(job.source, restorer)
        except ImageError:
            continue
        except OptionError as error:
            too_large.append(error)
    if refuse and too_large and len(too_large) == len(jobs):
        raise too_large[0]
    return total
