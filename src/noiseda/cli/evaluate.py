"""noiseda evaluate"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noiseda.cli.options import Device, Memory, TaskOption, parse_memory

if TYPE_CHECKING:
    from noiseda.restoration import Restorer

Pair = tuple[str, Path, Path]


def evaluate(
    clean: Annotated[Path, typer.Option(help="Folder of clean images, the ground truth.")],
    restored: Annotated[
        Path | None, typer.Option(help="Folder of restored images, same names as the clean ones.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Restore with this model instead of reading --restored.")
    ] = None,
    degraded: Annotated[
        Path | None, typer.Option(help="With --model: folder of degraded images.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="How scores are computed: rgb.")] = "rgb",
    json: Annotated[Path | None, typer.Option(help="Write the scores as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the scores as CSV.")] = None,
    task: TaskOption = None,
    memory: Memory = None,
    overwrite: Annotated[bool, typer.Option(help="Replace --json and --csv files.")] = False,
    device: Device = None,
) -> None:
    """Score restored images against clean ones: PSNR and SSIM of each and their means.

    Images are paired by their path inside the folders; all that do not pair are reported at once.

    **Examples**

        noiseda evaluate --restored out/ --clean truth/ --csv scores.csv

        noiseda evaluate --model my-run --degraded noisy/ --clean truth/ --json scores.json
    """
    from noiseda import evaluation
    from noiseda.console import progress_bar, stdout
    from noiseda.errors import OptionError

    if (restored is None) == (model is None) or (model is None) != (degraded is None):
        raise OptionError("give either --restored, or --model with --degraded")
    if json is not None and json == csv:
        raise OptionError(f"--json and --csv both name {json}; give each a file of its own")
    for path in (json, csv):
        if path is None:
            continue
        if path.is_dir() or not path.parent.is_dir():
            raise OptionError(f"{path}: not a file in a folder that exists; choose another name")
        if path.exists() and not overwrite:
            raise OptionError(f"{path} exists; choose another name or pass --overwrite")
    budget = parse_memory(memory)
    with progress_bar("images") as bar:
        task_id = bar.add_task("scoring", total=None, note="")

        def progress(done: int, total: int | None) -> None:
            bar.update(task_id, completed=done, total=total)

        if restored is not None:
            scores = evaluation.evaluate_folders(restored, clean, protocol, progress)
        else:
            assert model is not None
            assert degraded is not None
            evaluation.protocol(protocol)
            pairs = evaluation.pair(degraded, clean)
            evaluation.check_sizes(pairs)
            restorer = _load(model, task, device, budget, pairs)
            restored_pairs = _restored(restorer, pairs)
            scores = evaluation.evaluate(restored_pairs, protocol, progress, len(pairs))
    stdout.print(evaluation.table(scores))
    if json is not None:
        evaluation.write_json(scores, json, overwrite)
    if csv is not None:
        evaluation.write_csv(scores, csv, overwrite)


def _load(
    model: Path, task: str | None, device: str | None, memory: int | None, pairs: list[Pair]
) -> Restorer:
    """The model, if the memory is enough for all images: there is no score of a part of them."""
    from noiseda import runtime
    from noiseda.restoration import load, measure

    runtime.prepare()
    restorer = load(model, task=task, device=device, memory=memory)
    for _, degraded, _ in pairs:
        measure(degraded, restorer)
    return restorer


def _restored(restorer: Restorer, pairs: list[Pair]) -> Iterator[tuple[str, Any, Any]]:
    from noiseda.images import read, read_rgb8

    for name, degraded, clean in pairs:
        yield name, restorer.pixels(read(degraded).pixels), read_rgb8(clean)
