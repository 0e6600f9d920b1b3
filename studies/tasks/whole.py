"""The small recipes as they ship, trained whole from fresh weights, beside vanilla as long.

    OMP_NUM_THREADS=1 .venv/bin/python studies/tasks/whole.py                  # everything
    OMP_NUM_THREADS=1 .venv/bin/python studies/tasks/whole.py --tasks derain   # an hour on a core

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs, which are resumed, go to
runs/tasks-whole, results to whole/ in this folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from run import keys_given
from summary import readme
from targets import HERE, TARGETS, keys

from noiseda.comparison.clock import Clock, seconds_of
from noiseda.comparison.scoring import HeldOut, without_training
from noiseda.restoration import load
from noiseda.training import Recipe, is_finished, read_recipe, resume, train

RUNS = (HERE.parents[1] / "runs" / "tasks-whole").resolve()
# what the recipe says, and what it must be better than
OBJECTIVES = ("noise-space", "vanilla")


def recipe_of(task: str, objective: str, changes: dict[str, Any]) -> Recipe:
    """The small recipe of the task: folders and vanilla's objective are all that is changed."""
    of_comparison = ("training.start", "compare.")
    changes = {k: v for k, v in keys(task).items() if not k.startswith(of_comparison)} | changes
    recipe = read_recipe(f"{task}-small", changes)
    if recipe.objective["name"] != objective:
        recipe = read_recipe(f"{task}-small", {**changes, "objective": objective})
    return recipe


def measure(task: str, objective: str, runs: Path, recipe: Recipe) -> dict[str, Any]:
    """Train and score, or go on with it."""
    folder = runs / task / objective
    clock = Clock(folder, lambda: None)
    label = f"{task}, {objective}"
    if not is_finished(folder):
        known = folder.exists()
        run = resume(folder, label, [clock]) if known else train(recipe, folder, label, [clock])
        if not run.finished:
            raise SystemExit(130)
    return {
        "steps": recipe.steps,
        "batch": recipe.data.batch,
        "seconds": seconds_of(folder),
        "scores": HeldOut(recipe).scores(load(folder), lambda: None)["target"],
    }


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
        held_out = HeldOut(recipes["vanilla"])
        results: dict[str, Any] = {
            "task": task,
            "protocol": held_out.protocol,
            "threads": torch.get_num_threads(),
            "input": held_out.scores(without_training(lambda x: x), lambda: None)["target"],
        }
        for name, recipe in recipes.items():
            results[name] = measure(task, name, given.runs, recipe)
        (given.output / "whole").mkdir(parents=True, exist_ok=True)
        path = given.output / "whole" / f"{task}.json"
        path.write_text(json.dumps(results, indent=1) + "\n")
        (given.output / "README.md").write_text(readme(given.output))


if __name__ == "__main__":
    main()
