"""The small search behind recipe.yaml: three settings of each method, a minute each.

    .venv/bin/python studies/adaptation/tune.py        # resumable; tuning.json, for the README
    .venv/bin/python studies/adaptation/tune.py --methods dann,dsn      # those again

Adapted to ten of the photos that the study adapts to, scored on the five others: none of the
photos of the study's tables. Their ground truth is used, for every method alike.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from run import RECIPE
from targets import HERE, RUNS, START, keys, split

from noiseda.comparison import Comparison
from noiseda.files import write_whole
from noiseda.training import read_recipe

RESULTS = HERE / "tuning.json"
TARGET = "renoir"
MINUTES = 1.0
# to adapt to; the others are scored
_PHOTOS = 10
# the third was chosen when the first two were known, below or between them; but not those of dann,
# dsn and cycada, which were tried again when their classifier had changed
GRIDS: dict[str, list[dict[str, Any]]] = {
    "dann": [{"weight": weight} for weight in (0.01, 0.1, 0.001)],
    "dsn": [{"similarity": weight} for weight in (0.01, 0.1, 0.001)],
    "pixelda": [{"adversarial": weight} for weight in (0.01, 0.05, 0.002)],
    "cycada": [{"adversarial": weight} for weight in (0.01, 0.05, 0.002)],
    "neighbor2neighbor": [
        {"downsample": 2, "supervision": 0.0},
        {"downsample": 2, "supervision": 1.0},
        {"downsample": 2, "supervision": 4.0},
    ],
    "ap-bsn": [{"stride": stride} for stride in (2, 5, 3)],
    "noise-space": [{"weight": weight} for weight in (0.2, 2.0, 0.6)],
    # of fewer windows, as making the targets of 40 takes longer than a minute
    "two-scale": [{"threshold": threshold, "windows": 12} for threshold in (0.02, 0.03, 0.015)],
}


def tune(methods: Sequence[str]) -> None:
    """Those of `GRIDS`; what an earlier call found of others is kept."""
    grids = {name: GRIDS[name] for name in methods}
    recipe = read_recipe(RECIPE, {**keys(TARGET), "training.start": str(START)})
    base = recipe.compare.methods if recipe.compare else {}
    settings = {
        f"{name}-{number}": {**(base.get(name) or {}), "name": name, **options}
        for name, grid in grids.items()
        for number, options in enumerate(grid, start=1)
    }
    names, _ = split(TARGET)
    noisy = str(recipe.data.real[0].folder)
    changed = {
        **keys(TARGET),
        "data.real": [{"folder": noisy, "include": names[:_PHOTOS]}],
        "data.validation": {
            "degraded": {"folder": noisy, "include": names[_PHOTOS:]},
            "clean": str(recipe.data.truth[0]),
        },
        "training.start": str(START),
        "compare.methods": settings,
    }
    recipe = read_recipe(RECIPE, changed)
    folder = RUNS / f"tuning-{TARGET}"
    found = Comparison(
        recipe, folder, ["start", *settings], minutes=MINUTES, views=["equal-time"]
    ).run()
    rows = {row["method"]: row for row in found["summary"]}
    vanilla = rows["vanilla"]["psnr"]["mean"]
    kept = {
        name: [
            {
                "options": options,
                "steps": rows[f"{name}-{number}"]["steps"],
                "gain": round(rows[f"{name}-{number}"]["psnr"]["mean"] - vanilla, 3),
                "source": round(rows[f"{name}-{number}"]["source_psnr_change"]["mean"], 3),
            }
            for number, options in enumerate(grid, start=1)
        ]
        for name, grid in grids.items()
    }
    if RESULTS.exists():
        kept = json.loads(RESULTS.read_text())["methods"] | kept
    result = {"target": TARGET, "minutes": MINUTES, "methods": {name: kept[name] for name in GRIDS}}
    write_whole(RESULTS, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=",".join(GRIDS))
    tune(parser.parse_args().methods.split(","))
