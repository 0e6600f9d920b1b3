"""noiseda degrade"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noiseda.cli.options import all_there

if TYPE_CHECKING:
    from noiseda.degradations import Degradation
    from noiseda.degradations.files import Frames, Work


def degrade(
    inputs: Annotated[list[Path], typer.Argument(help="Clean images, or folders of images.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder for the results; a file for one input file."),
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="gaussian, camera, matched, rain, motion-blur, mixture; or frames: the average of "
            "consecutive frames, of a folder of them."
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Of every random draw.")] = 0,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set an option of the kind; repeatable."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option(help="Replace results that exist; otherwise they are kept.")
    ] = False,
) -> None:
    """Degrade clean images as training does: noise, rain, blur. Folders keep their tree.

    The same file name and seed give the same pixels. Of frames, blurry/ and sharp/ in the output
    folder get the averages and their middle frames. docs/degradations.md has all options.

    **Examples**

        noiseda degrade photo.png --kind rain --seed 3 -o rainy

        noiseda degrade clean/ --kind motion-blur --set length=[10,20] --set path=linear -o blurry

        noiseda degrade clean/ --kind mixture --set "parts=[{name: rain},{name: gaussian}]" -o out

        noiseda degrade video-frames/ --kind frames --set count=9 -o pairs
    """
    from rich.markup import escape

    from noiseda.console import progress_bar, stderr, stdout
    from noiseda.errors import NoiseDAError
    from noiseda.images.library import shown

    degradation = _build(kind, _options(overrides or []))
    work = _plan(inputs, output, degradation)
    from noiseda.degradations.files import degrade_files

    with progress_bar("pairs" if kind == "frames" else "images") as bar:
        task = bar.add_task("degrading", total=len(work), note="")
        number = 0

        def started(target: Path) -> None:
            nonlocal number
            # those before are done, kept or failed
            bar.update(task, completed=number, note=escape(shown(target.name)))
            number += 1

        outcome = degrade_files(degradation, work, seed, overwrite, started)
        if not outcome.interrupted:
            bar.update(task, completed=len(work), note="")
    if not outcome.done and not outcome.interrupted:
        if len(outcome.failed) == 1 and len(work) == 1:
            raise NoiseDAError(outcome.failed[0])
        if outcome.kept and not outcome.failed:
            raise NoiseDAError(all_there(shown(outcome.kept[0].targets[0]), len(outcome.kept)))
    what = "pairs made in" if kind == "frames" else "degraded into"
    stdout.print(f"{len(outcome.done)} {what} {shown(output)}", highlight=False, markup=False)
    if outcome.kept:
        stdout.print(f"{len(outcome.kept)} existed and were kept (--overwrite replaces them)")
    for reason in outcome.failed:
        stderr.print(f"failed: {reason}", highlight=False, markup=False, soft_wrap=True)
    if outcome.interrupted:
        stderr.print("interrupted; run the same command again to do the rest")
        raise typer.Exit(130)
    if outcome.failed:
        raise typer.Exit(1 if outcome.done or outcome.kept else 2)


def _options(overrides: Sequence[str]) -> dict[str, Any]:
    """Options from texts `key=value`, the value in YAML.

    Raises:
        OptionError: not such a text.
    """
    import yaml

    from noiseda.errors import OptionError

    options: dict[str, Any] = {}
    for text in overrides:
        key, found, value = text.partition("=")
        if not found or not key:
            raise OptionError(f"--set {text}: expected key=value, for example length=[10,20]")
        try:
            options[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise OptionError(f"--set {text}: not valid YAML: {reason}") from None
    return options


def _build(kind: str, options: dict[str, Any]) -> Degradation | Frames:
    from noiseda.degradations import DEGRADATIONS, build
    from noiseda.degradations.files import FRAMES
    from noiseda.errors import OptionError, did_you_mean

    if kind in FRAMES.names:
        return FRAMES.build(kind, **options)
    if kind not in DEGRADATIONS.names:
        hint = did_you_mean(kind, [*DEGRADATIONS.names, *FRAMES.names])
        raise OptionError(f"--kind {kind}: no such degradation{hint}")
    return build(kind, **options)


def _plan(inputs: Sequence[Path], output: Path, degradation: Degradation | Frames) -> list[Work]:
    """What to make of which files.

    Raises:
        NoiseDAError: inputs or output that cannot be used.
    """
    from noiseda.degradations.files import Frames, Work, plan_frames
    from noiseda.errors import DataError
    from noiseda.restoration import plan_jobs

    if not isinstance(degradation, Frames):
        jobs = plan_jobs(inputs, output)
        whole = jobs[0].target == output
        return [
            Work(
                (job.source,),
                (job.target,),
                job.source.name if whole else job.target.relative_to(output).as_posix(),
            )
            for job in jobs
        ]
    if len(inputs) > 1:
        raise DataError("--kind frames takes one folder; its sub-folders are videos of their own")
    if output.is_file():
        raise DataError(f"{output}: is a file; give a folder for the pairs")
    return plan_frames(inputs[0], output, degradation)
