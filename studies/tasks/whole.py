"""The small recipes as they ship, trained whole from fresh weights, beside vanilla as long.

    .venv/bin/python studies/tasks/whole.py                   # everything: four hours on two cores
    .venv/bin/python studies/tasks/whole.py --tasks derain    # a part
    .venv/bin/python studies/tasks/whole.py --timing          # what a step takes: a minute a task

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs, which are resumed, go to
runs/tasks-whole, results to whole/ in this folder. For timing, nothing else should run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
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
WARM_UP, TIMED = 4, 36


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
        run = train(recipe, folder, f"{recipe.name}, {recipe.objective['name']}")
    if not run.finished:
        raise SystemExit(130)
    return folder


class Pace(lightning.Callback):
    """The moments at which steps end."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.moments.append(time.perf_counter())


def step_seconds(recipe: Recipe) -> float:
    """The median of a short training, after its first steps."""
    images = (WARM_UP + TIMED) * recipe.data.batch
    pace = Pace()
    with tempfile.TemporaryDirectory() as folder:
        training = recipe.training.model_copy(update={"images": images})
        train(recipe.model_copy(update={"training": training}), Path(folder) / "run", "", [pace])
    times = [end - begin for begin, end in itertools.pairwise(pace.moments[WARM_UP:-1])]
    return statistics.median(times)


def measure(task: str, recipes: dict[str, Recipe], runs: Path) -> dict[str, Any]:
    """Scores of the trained networks, and of the images as they are."""
    held_out = HeldOut(recipes["vanilla"])
    results: dict[str, Any] = {
        "protocol": held_out.protocol,
        "input": held_out.scores(without_training(lambda image: image), lambda: None)["target"],
    }
    for name, recipe in recipes.items():
        model = load(trained(runs / task / name, recipe))
        scores = held_out.scores(model, lambda: None)["target"]
        results[name] = {"steps": recipe.steps, "scores": scores}
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", default=",".join(TARGETS))
    parser.add_argument("--timing", action="store_true", help="measure the steps alone")
    parser.add_argument("--set", action="append", default=[], help="key=value of the recipe")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--output", type=Path, default=HERE, help="of results and README")
    given = parser.parse_args(arguments)
    for task in given.tasks.split(","):
        recipes = {name: recipe_of(task, name, keys_given(given.set)) for name in OBJECTIVES}
        path = given.output / "whole" / f"{task}.json"
        results = json.loads(path.read_text()) if path.exists() else {"task": task}
        if given.timing:
            results["timing"] = {
                "threads": torch.get_num_threads(),
                "seconds": {name: step_seconds(recipe) for name, recipe in recipes.items()},
            }
        else:
            results |= measure(task, recipes, given.runs)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
        (given.output / "README.md").write_text(readme(given.output))


if __name__ == "__main__":
    main()
