"""noiseda demo"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for everything.")] = Path(
        "demo"
    ),
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier demo there.")] = False,
    scale: Annotated[
        float, typer.Option(min=0.001, max=100, help="Length of the trainings; 1 takes minutes.")
    ] = 1.0,
) -> None:
    """Train, adapt, restore and score on embedded photos: the main job, in a few minutes.

    **Example**

        noiseda demo -o demo
    """
    from rich.table import Table

    from noiseda.console import stdout
    from noiseda.demo import HELD_OUT, METHODS
    from noiseda.demo import demo as run
    from noiseda.images.library import shown

    def say(text: str) -> None:
        stdout.print(shown(text), highlight=False, markup=False)

    result = run(output, overwrite, scale, say)
    table = Table(title=f"{len(HELD_OUT)} held-out photos, mean scores")
    for title in ("", "PSNR \\[rgb] dB", "SSIM \\[rgb]", "images"):
        table.add_column(title, justify="right" if title else "left")
    for method, name in METHODS.items():
        scores = result.scores[method]
        mean = scores.mean
        table.add_row(name, f"{mean['psnr']:.2f}", f"{mean['ssim']:.4f}", str(len(scores.images)))
    stdout.print(table)
    say(f"What noiseda adapt said without ground truth: {result.verdict.sentence}")
    for file in ("adapted/report.html", "comparison.png", "scores.json", "model.safetensors"):
        stdout.print(shown(output / file), highlight=False, markup=False)
