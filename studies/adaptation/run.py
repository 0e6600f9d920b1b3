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
METHODS = ("input", "start", "vanilla", "two-scale", "noise-space", "oracle")


def start() -> Path:
    """The vanilla network of studies/first-run, trained if it is not there."""
    clean = [str(DATA / "bsds500" / part) for part in ("train", "test")]
    recipe = read_recipe(HERE.parent / "first-run" / "recipe.yaml", {"data.clean": clean})
    if not START.exists():
        train(recipe, START, "start")
    elif not is_finished(START):
        resume(START, "start")
    return START


def compare(target: str, methods: list[str], seeds: int) -> None:
    recipe = read_recipe(RECIPE, {**keys(target), "training.start": str(start())})
    folder = RUNS / target
    Comparison(recipe, folder, methods, seeds, minutes=MINUTES).run()
    for file in ("results.json", "table.csv"):
        shutil.copyfile(folder / file, HERE / f"{target}-{file}")
    # a PNG of photos is ten times as large
    images.write(HERE / f"{target}-picture.jpg", images.read_rgb8(folder / "picture.png"))
    (HERE / "README.md").write_text(readme())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    for name in given.targets.split(","):
        compare(name, given.methods.split(","), given.seeds)
