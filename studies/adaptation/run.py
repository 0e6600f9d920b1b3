"""Adaptation methods on three targets: every method continues from the same vanilla network.

    .venv/bin/python studies/adaptation/run.py                       # everything (resumable)
    .venv/bin/python studies/adaptation/run.py --targets renoir --methods two-scale --seeds 1

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs go to runs/adaptation, results to
this folder.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from summary import readme
from targets import DATA, HERE, RUNS, TARGETS, keys

from noiseda import images
from noiseda.comparison import Comparison
from noiseda.training import is_finished, read_recipe, resume, train

RECIPE = HERE / "recipe.yaml"
START = (RUNS.parent / "first-run" / "vanilla-0").resolve()
# of each continuation at equal wall time
MINUTES = 5.0
TRAINED = (
    "vanilla",
    "two-scale",
    "two-scale-judged",
    "two-scale-photos",
    "measured",
    "noise-space",
    "oracle",
)
METHODS = ("input", "start", *TRAINED)
RIVALS = ("bm3d", "nlm", "dann", "dsn", "pixelda", "cycada", "neighbor2neighbor", "ap-bsn")
# what is in each table, and over how many seeds
TABLES = {"equal-time": ((*METHODS, *RIVALS), 3), "equal-steps": (METHODS, 1)}


def start() -> Path:
    """The vanilla network of studies/first-run, trained if it is not there."""
    clean = [str(DATA / "bsds500" / part) for part in ("train", "test")]
    recipe = read_recipe(HERE.parent / "first-run" / "recipe.yaml", {"data.clean": clean})
    if not START.exists():
        train(recipe, START, "start")
    elif not is_finished(START):
        resume(START, "start")
    return START


def compare(target: str, view: str, methods: list[str], seeds: int) -> None:
    recipe = read_recipe(RECIPE, {**keys(target), "training.start": str(start())})
    folder = RUNS / target
    Comparison(recipe, folder, methods, seeds, minutes=MINUTES, views=[view]).run()
    shutil.copyfile(folder / "results.json", HERE / f"{target}-{view}.json")
    if view == "equal-time":
        # a PNG of photos is ten times as large
        images.write(HERE / f"{target}-picture.jpg", images.read_rgb8(folder / "picture.png"))
    (HERE / "README.md").write_text(readme())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--views", default=",".join(TABLES))
    parser.add_argument("--methods", help="fewer than all")
    parser.add_argument("--seeds", type=int, help="fewer than all")
    given = parser.parse_args()
    for name in given.targets.split(","):
        for view in given.views.split(","):
            methods, seeds = TABLES[view]
            chosen = given.methods.split(",") if given.methods else methods
            compare(name, view, list(chosen), given.seeds or seeds)
