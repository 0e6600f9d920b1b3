"""The three tasks, each from vanilla to oracle: what adaptation is worth beyond noise.

    .venv/bin/python studies/tasks/run.py                              # everything (resumable)
    .venv/bin/python studies/tasks/run.py --tasks derain --seeds 0     # a part: 20 min on one core

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs go to runs/tasks, results to this
folder. The lengths are the recipes'; `--set compare.images=800` changes them, and needs another
--runs.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyvips
import yaml
from summary import readme
from targets import HERE, TARGETS, keys

from noiseda.comparison import Comparison
from noiseda.training import Recipe, is_finished, read_recipe

RUNS = (HERE.parents[1] / "runs").resolve()
# of denoising; see studies/adaptation/targets.py
START = HERE.parent / "adaptation" / "start.safetensors"
SEEDS = (0, 1)
METHODS = ("input", "start", "vanilla", "noise-space", "oracle")
VIEW = "equal-steps"


def recipe_of(task: str, changes: dict[str, Any], most: int | None = None) -> Recipe:
    """The small recipe of the task as the study has it."""
    if task == "denoise" and "training.start" not in changes:
        changes = {"training.start": str(START), **changes}
    settings = yaml.safe_load((HERE / "settings.yaml").read_text())
    return read_recipe(f"{task}-small", {**settings, **keys(task, most), **changes})


def compare(
    recipe: Recipe, folder: Path, output: Path, methods: Sequence[str], seeds: Sequence[int]
) -> None:
    """Train, score and tell; what earlier calls have finished of other seeds is told too."""

    def comparison(numbers: Sequence[int]) -> Comparison:
        return Comparison(recipe, folder, methods, numbers, views=[VIEW])

    comparison(seeds).run()
    known = [
        seed
        for seed in sorted({*SEEDS, *seeds})
        if all(is_finished(cell.folder) for cell in comparison([seed]).cells())
    ]
    if known != list(seeds):
        comparison(known).run()
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "results.json", output / f"{recipe.name}.json")
    # of streaks and noise, a tenth of the PNG
    picture = pyvips.Image.new_from_file(str(folder / "picture.png"))
    picture.jpegsave(str(output / f"{recipe.name}-picture.jpg"), Q=80)
    (output / "README.md").write_text(readme(output))


def keys_given(texts: Sequence[str]) -> dict[str, Any]:
    """Of `key=value` texts."""
    return {key: yaml.safe_load(value) for key, _, value in (t.partition("=") for t in texts)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", default=",".join(TARGETS))
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--methods", help=f"instead of {', '.join(METHODS)} and ours")
    parser.add_argument("--set", action="append", default=[], help="key=value of the recipe")
    parser.add_argument("--photos", type=int, help="to adapt to, and to score on, at most")
    parser.add_argument("--runs", type=Path, default=RUNS / "tasks")
    parser.add_argument("--output", type=Path, default=HERE, help="of results and README")
    given = parser.parse_args(arguments)
    changes = keys_given(given.set)
    seeds = sorted({int(seed) for seed in given.seeds.split(",")})
    for task in given.tasks.split(","):
        recipe = recipe_of(task, changes, given.photos)
        methods = given.methods.split(",") if given.methods else [*METHODS, TARGETS[task].ours]
        compare(recipe, given.runs / task, given.output, methods, seeds)


if __name__ == "__main__":
    main()
