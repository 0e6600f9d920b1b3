"""noiseda evaluate"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noiseda.cli.options import Device, Memory, TaskOption, parse_memory, tell_assumed

if TYPE_CHECKING:
    from noiseda.restoration import Restorer

Pair = tuple[str, Path, Path]


def evaluate(
    clean: Annotated[
        Path | None,
        typer.Option(help="Folder of clean images, the ground truth; or a .mat of SIDD's blocks."),
    ] = None,
    restored: Annotated[
        Path | None,
        typer.Option(help="Folder of restored images, same names as the clean ones; or a .mat."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Restore with this model instead of reading --restored.")
    ] = None,
    degraded: Annotated[
        Path | None, typer.Option(help="With --model: folder of degraded images; or a .mat.")
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="How scores are computed: rgb, y, sidd, spa or realblur-j; see docs/protocols.md."
        ),
    ] = "rgb",
    lpips: Annotated[bool, typer.Option("--lpips", help="LPIPS as well.")] = False,
    lpips_weights: Annotated[
        Path | None,
        typer.Option(
            help="With --lpips: file with torchvision's AlexNet or VGG-16. [default: AlexNet, "
            "downloaded]",
            show_default=False,
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the scores as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the scores as CSV.")] = None,
    mat: Annotated[
        Path | None,
        typer.Option(help="Of blocks in a .mat: write the restored ones, to submit them."),
    ] = None,
    task: TaskOption = None,
    memory: Memory = None,
    overwrite: Annotated[bool, typer.Option(help="Replace --json, --csv and --mat files.")] = False,
    device: Device = None,
) -> None:
    """Score restored images against clean ones: PSNR and SSIM of each and their means.

    Images are paired by their path inside the folders; all that do not pair are reported at once.
    Blocks of SIDD come in .mat files; without --clean they are only restored and written.

    **Examples**

        noiseda evaluate --restored out/ --clean truth/ --csv scores.csv

        noiseda evaluate --model my-run --degraded noisy/ --clean truth/ --json scores.json

        noiseda evaluate --model my-run --degraded ValidationNoisyBlocksSrgb.mat
        --clean ValidationGtBlocksSrgb.mat --protocol sidd --mat restored.mat
    """
    from noiseda import evaluation
    from noiseda.console import progress_bar, stdout
    from noiseda.errors import OptionError

    if (restored is None) == (model is None) or (model is None) != (degraded is None):
        raise OptionError("give either --restored, or --model with --degraded")
    source = restored or degraded
    assert source is not None
    blocks = evaluation.is_blocks(source)
    if clean is None and (mat is None or json or csv):
        raise OptionError("there is no score without ground truth; give it with --clean")
    if clean is not None and blocks != evaluation.is_blocks(clean):
        raise OptionError(f"{source} and {clean}: give two folders or two .mat files")
    if mat is not None and (model is None or not blocks):
        raise OptionError("--mat writes what --model restores of a .mat with --degraded")
    if lpips_weights is not None and not lpips:
        raise OptionError("--lpips-weights is of use only with --lpips")
    _refuse_outputs({"--json": json, "--csv": csv, "--mat": mat}, overwrite)
    evaluation.protocol(protocol)
    budget = parse_memory(memory)
    extra = {"lpips": evaluation.lpips(lpips_weights)} if lpips else {}
    with progress_bar("images") as bar:
        task_id = bar.add_task("scoring" if clean else "restoring", total=None, note="")

        def progress(done: int, total: int | None) -> None:
            bar.update(task_id, completed=done, total=total)

        if blocks:
            restore = None if model is None else _load(model, task, device, budget, []).pixels
            scores = evaluation.evaluate_blocks(
                source, clean, protocol, progress, extra, restore=restore, output=mat
            )
        elif clean is not None and model is None:
            scores = evaluation.evaluate_folders(source, clean, protocol, progress, extra)
        elif clean is not None and model is not None:
            pairs = evaluation.pair(source, clean)
            evaluation.check_sizes(pairs)
            restorer = _load(model, task, device, budget, pairs)
            found = _restored(restorer, pairs)
            scores = evaluation.evaluate(found, protocol, progress, len(pairs), extra)
        else:
            scores = None
    if scores is not None:
        stdout.print(evaluation.table(scores))
        if json is not None:
            evaluation.write_json(scores, json, overwrite)
        if csv is not None:
            evaluation.write_csv(scores, csv, overwrite)
    if mat is not None:
        stdout.print(f"restored blocks: {mat}", highlight=False, markup=False)


def _refuse_outputs(named: dict[str, Path | None], overwrite: bool) -> None:
    """Refuse files that cannot be written, before anything is restored."""
    from noiseda.errors import OptionError

    given = {option: path for option, path in named.items() if path is not None}
    for path in given.values():
        same = [option for option, other in given.items() if other == path]
        if len(same) > 1:
            raise OptionError(f"{' and '.join(same)} both name {path}; give each a file of its own")
        if path.is_dir() or not path.parent.is_dir():
            raise OptionError(f"{path}: not a file in a folder that exists; choose another name")
        if path.exists() and not overwrite:
            raise OptionError(f"{path} exists; choose another name or pass --overwrite")


def _load(
    model: Path, task: str | None, device: str | None, memory: int | None, pairs: list[Pair]
) -> Restorer:
    """The model, if the memory is enough for all images: there is no score of a part of them."""
    from noiseda import runtime
    from noiseda.restoration import load, measure

    runtime.prepare()
    restorer = load(model, task=task, device=device, memory=memory)
    tell_assumed(restorer.info)
    for _, degraded, _ in pairs:
        measure(degraded, restorer)
    return restorer


def _restored(restorer: Restorer, pairs: list[Pair]) -> Iterator[tuple[str, Any, Any]]:
    from noiseda.images import read, read_rgb8

    for name, degraded, clean in pairs:
        yield name, restorer.pixels(read(degraded).pixels), read_rgb8(clean)
