"""Adaptation methods on three targets: every method continues from the same vanilla network.

    .venv/bin/python studies/adaptation/run.py                       # everything (resumable)
    .venv/bin/python studies/adaptation/run.py --targets renoir --methods two-scale --seeds 1,2

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs go to runs/adaptation, results to
results/, a file for each target, view and seed.
"""

from __future__ import annotations

import argparse
import json
import shutil

from summary import part, readme, results
from targets import HERE, RUNS, START, TARGETS, keys

from noiseda import images
from noiseda.comparison import Comparison
from noiseda.training import read_recipe

RECIPE = HERE / "recipe.yaml"
# of each continuation at equal wall time
MINUTES = 5.0
TRAINED = (
    "vanilla",
    "two-scale",
    "two-scale-judged",
    "two-scale-photos",
    "two-scale-photos-measured",
    "two-scale-photos-judged",
    "measured",
    "noise-space",
    "oracle",
)
METHODS = ("input", "start", *TRAINED)
# with source images that are enlarged, at equal steps
ENLARGED = ("vanilla-enlarged", "measured-enlarged", "two-scale-enlarged")
RIVALS = ("bm3d", "nlm", "dann", "dsn", "pixelda", "cycada", "neighbor2neighbor", "ap-bsn")
# parts of two-scale left out, on one target in one view
ABLATION = (
    "two-scale-one-round",
    "two-scale-only-distilled",
    "two-scale-only-renoised",
    "two-scale-one-scale",
)
TABLES = {"equal-time": (*METHODS, *RIVALS), "equal-steps": (*METHODS, *ENLARGED)}


def compare(target: str, view: str, methods: list[str], seed: int) -> None:
    """One table's part of a seed, beside what its result file has of other methods.

    The file stands in for run folders that are gone: nothing that was scored is trained again.
    """
    recipe = read_recipe(RECIPE, {**keys(target), "training.start": str(START)})
    # a folder for each view, as their results may have come from different machines
    folder, output = RUNS / f"{target}-{view}", part(target, view, seed)
    earlier = results(view).get(target)
    picture = folder / "picture.png"
    picture.unlink(missing_ok=True)
    if output.exists():
        methods = list(dict.fromkeys([*json.loads(output.read_text())["methods"], *methods]))
    Comparison(
        recipe, folder, methods, [seed], minutes=MINUTES, views=[view], earlier=earlier
    ).run()
    output.parent.mkdir(exist_ok=True)
    shutil.copyfile(folder / "results.json", output)
    if view == "equal-time" and picture.exists():
        # a PNG of photos is ten times as large
        images.write(HERE / f"{target}-picture.jpg", images.read_rgb8(picture))
    (HERE / "README.md").write_text(readme())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--views", default=",".join(TABLES))
    parser.add_argument("--methods", help="fewer than all")
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    for number in map(int, given.seeds.split(",")):
        for view in given.views.split(","):
            for name in given.targets.split(","):
                chosen = given.methods.split(",") if given.methods else TABLES[view]
                if not given.methods and (name, view, number) == ("renoir", "equal-steps", 0):
                    chosen = (*chosen, *ABLATION)
                compare(name, view, list(chosen), number)
