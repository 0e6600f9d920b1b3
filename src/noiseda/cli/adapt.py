"""noiseda adapt"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noiseda.cli.options import TaskOption
from noiseda.errors import stoppable


def adapt(
    photos: Annotated[Path, typer.Argument(help="Folder of unlabeled photos.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for everything made.")],
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Model to start from: a model file or a run folder. [default: the model that "
            "ships with noiseda for the task, a denoiser if none is named]",
            show_default=False,
        ),
    ] = None,
    task: TaskOption = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="That adapting may take.")] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Of every random draw.")] = 0,
    dry_run: Annotated[
        bool, typer.Option(help="Look at the photos, tell time and memory; adapt nothing.")
    ] = False,
) -> None:
    """Adapt a model to your own photos, without clean counterparts, and restore them with it.

    Looks at the photos, adapts, decides on photos kept back (of few photos, also on some that it
    learned from) whether the adapted model is better than the start (if not, the start is kept),
    and leaves model.safetensors, report.html and restored/ in the output folder. While it runs,
    preview.jpg there shows how far it is. Ctrl-C keeps everything; the same command again goes on.

    For rain and blur nothing is known yet that judges without clean counterparts: there the start
    model is kept, and the adapted one is left beside it, in adapted.safetensors.

    **Examples**

        noiseda adapt photos/ -o my-camera

        noiseda adapt photos/ -o my-camera --from model.safetensors --minutes 10

        noiseda adapt photos/ -o my-rain --task derain

        noiseda restore more-photos/ -o restored --model my-camera
    """
    from noiseda.console import passing, progress_bar, stderr, stdout
    from noiseda.images.library import shown

    def say(text: str) -> None:
        stdout.print(shown(text), highlight=False, markup=False)

    try:
        with passing(), progress_bar() as bar:
            # torch and Lightning take seconds
            bar.add_task("starting", total=None, note="")
            from noiseda.checkpoint import shipped_model
            from noiseda.tailoring import tailor
        with stoppable():
            result = tailor(
                photos,
                output,
                start or shipped_model(task or "denoise"),
                minutes,
                seed,
                say,
                dry_run,
                task,
            )
    except KeyboardInterrupt:
        again = "" if dry_run else "; run the same command again to go on"
        stderr.print(f"interrupted{again}")
        raise typer.Exit(130) from None
    if result is None:
        return
    say(f"{result.restored} photos restored into {shown(output / 'restored')}")
    for _, reason in result.failed:
        stderr.print(f"failed: {reason}", highlight=False, markup=False, soft_wrap=True)
    say(f"model: {shown(output / 'model.safetensors')}")
    say(f"report: {shown(output / 'report.html')}")
    if result.failed:
        raise typer.Exit(1)
