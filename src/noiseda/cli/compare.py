"""noiseda compare"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or YAML file.")],
    methods: Annotated[
        str | None,
        typer.Option(
            help="Names, with commas between: objectives, names from the recipe's compare section, "
            "input, start, oracle; for denoising bm3d and nlm. vanilla is always one. [default: "
            "those that the recipe names]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many, from the recipe's.")] = 3,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for everything; the same command continues what is in it. "
            "[default: comparisons/NAME]",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Length of each continuation at equal steps. [default: the recipe's "
            "compare.images, or training.images]",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Length of each continuation at equal wall time. [default: what the slowest "
            "method needs at equal steps]",
            show_default=False,
        ),
    ] = None,
    view: Annotated[
        str,
        typer.Option(help="Which tables: equal-steps, equal-time, or both."),
    ] = "both",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Measure speeds, show the trainings and their time; keep nothing.")
    ] = False,
) -> None:
    """Compare methods of adaptation: same start, same samples, same held-out images.

    Each seed trains a vanilla network on synthetic pairs (or takes training.start); every method
    continues from it, for as many steps and for as long as the others. Scores are on
    data.validation, by protocol rgb, or y for deraining. Gap closure is 0 % for vanilla continued
    and 100 % for `oracle`, which alone learns from data.truth, the ground truth of data.real. The
    folder gets results.json, table.md, table.csv, picture.png and every run folder. Ctrl-C keeps
    everything.

    **Examples**

        noiseda compare my-recipe.yaml --methods noise-space,oracle --seeds 3 -o comparison

        noiseda compare my-recipe.yaml --methods input,noise-space,gentle,oracle --images 8000
        --set compare.methods.gentle.name=noise-space --set compare.methods.gentle.weight=0.05

        noiseda compare my-recipe.yaml --minutes 30 --dry-run
    """
    from noiseda.comparison import VIEWS, Comparison, notes, outline, tables
    from noiseda.console import stderr, stdout
    from noiseda.errors import OptionError
    from noiseda.images.library import shown
    from noiseda.training import read_recipe

    names = None
    if methods is not None:
        names = [name.strip() for name in methods.split(",") if name.strip()]
        if not names:
            raise OptionError("--methods names none; give for example --methods noise-space,oracle")
    if view not in (*VIEWS, "both"):
        raise OptionError(f"--view {view}: choose equal-steps, equal-time or both")
    views = tuple(VIEWS) if view == "both" else (view,)
    resolved = read_recipe(recipe, overrides or [])
    folder = output or Path("comparisons") / resolved.name
    comparison = Comparison(resolved, folder, names, seeds, images, minutes, views)
    if dry_run:
        stdout.print(outline(comparison), highlight=False, markup=False)
        return
    try:
        results = comparison.run()
    except KeyboardInterrupt:
        stderr.print("interrupted; run the same command again to do the rest")
        raise typer.Exit(130) from None
    for table in tables(results):
        stdout.print(table)
    for line in notes(results):
        stdout.print(line, highlight=False, markup=False)
    for file in ("results.json", "table.md", "table.csv", "picture.png"):
        stdout.print(shown(folder / file), highlight=False, markup=False)
