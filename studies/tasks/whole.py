"""The small recipes as they ship, trained whole from fresh weights, beside vanilla as long.

    .venv/bin/python studies/tasks/whole.py                   # everything: three hours on two cores
    .venv/bin/python studies/tasks/whole.py --tasks derain    # a part

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs, which are resumed, go to
runs/tasks-whole, results to whole/ in this folder. The trainings' wall time is measured: nothing
else should run. Of a training that was interrupted it is not known.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from run import keys_given
from summary import readme
from targets import HERE, TARGETS, keys

from noiseda.comparison.scoring import HeldOut, without_training
from noiseda.errors import RunError
from noiseda.restoration import load
from noiseda.training import Recipe, is_finished, read_recipe, resume, train

RUNS = (HERE.parents[1] / "runs" / "tasks-whole").resolve()
# what the recipe says, and what it must be better than
OBJECTIVES = ("noise-space", "vanilla")
# of a run folder: what its training took, if it went through in one go
WALL = "wall.json"


def recipe_of(task: str, objective: str, changes: dict[str, Any]) -> Recipe:
    """The small recipe of the task: folders and vanilla's objective are all that is changed."""
    of_comparison = ("training.start", "compare.")
    changes = {k: v for k, v in keys(task).items() if not k.startswith(of_comparison)} | changes
    recipe = read_recipe(f"{task}-small", changes)
    if recipe.objective["name"] != objective:
        recipe = read_recipe(f"{task}-small", {**changes, "objective": objective})
    return recipe


def trained(folder: Path, recipe: Recipe) -> Path:
    """The run folder, trained, or continued if it was begun.

    Raises:
        RunError: it is of another recipe.
    """
    if folder.exists():
        if read_recipe(folder / "recipe.yaml") != recipe:
            raise RunError(f"{folder}: of another recipe; choose another folder with --runs")
        if is_finished(folder):
            return folder
        run = resume(folder, f"{recipe.name}, {recipe.objective['name']}")
    else:
        begin = time.perf_counter()
        run = train(recipe, folder, f"{recipe.name}, {recipe.objective['name']}")
        if run.finished:
            wall = {"seconds": time.perf_counter() - begin, "threads": torch.get_num_threads()}
            (folder / WALL).write_text(json.dumps(wall))
    if not run.finished:
        raise SystemExit(130)
    return folder


def measure(task: str, recipes: dict[str, Recipe], runs: Path) -> dict[str, Any]:
    """Scores and wall times of the trained networks; scores of the images as they are."""
    held_out = HeldOut(recipes["vanilla"])
    results: dict[str, Any] = {
        "protocol": held_out.protocol,
        "input": held_out.scores(without_training(lambda image: image), lambda: None)["target"],
    }
    for name, recipe in recipes.items():
        folder = trained(runs / task / name, recipe)
        scores = held_out.scores(load(folder), lambda: None)["target"]
        wall = json.loads((folder / WALL).read_text()) if (folder / WALL).exists() else None
        results[name] = {"steps": recipe.steps, "wall": wall, "scores": scores}
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", default=",".join(TARGETS))
    parser.add_argument("--set", action="append", default=[], help="key=value of the recipe")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--output", type=Path, default=HERE, help="of results and README")
    given = parser.parse_args(arguments)
    for task in given.tasks.split(","):
        recipes = {name: recipe_of(task, name, keys_given(given.set)) for name in OBJECTIVES}
        path = given.output / "whole" / f"{task}.json"
        results = {"task": task, **measure(task, recipes, given.runs)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
        (given.output / "README.md").write_text(readme(given.output))


if __name__ == "__main__":
    main()
