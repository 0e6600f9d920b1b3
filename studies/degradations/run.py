"""The picture and the figures of docs/degradations.md.

    .venv/bin/python studies/degradations/run.py

The strength of real and own rain needs the set Rain100L in ../shared/data or $NOISEDA_DATA; where
it is absent, the committed figures stay.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage import data

from noiseda import images
from noiseda.degradations import build
from noiseda.evaluation.picture import side_by_side
from noiseda.random import generator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "degradations.md"
RESULTS = Path(__file__).with_name("results.json")
DATA = Path(os.environ.get("NOISEDA_DATA", ROOT.parent / "shared" / "data")) / "rain100l"
SIZE, BATCH, RUNS = 144, 8, 21
SHOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "clean": ("gaussian", {"sigma": (0, 0)}),
    "gaussian": ("gaussian", {"sigma": (25, 25)}),
    "camera": ("camera", {"shot": (4e-3, 4e-3), "read": (2e-2, 2e-2)}),
    "rain": ("rain", {"density": (0.05, 0.15)}),
    "rain, haze": ("rain", {"density": (0.05, 0.15), "haze": (0.3, 0.5)}),
    "motion-blur": ("motion-blur", {"length": (12, 20)}),
    "highlights": ("motion-blur", {"length": (12, 20), "highlights": (5, 5)}),
}
TIMED = ("gaussian", "camera", "rain", "motion-blur")


def picture() -> np.ndarray:
    """A row a photo, a column a degradation."""
    # parts with a face, fur and gloss
    photos = [data.astronaut()[30:, 150:], data.chelsea()[70:, 150:], data.coffee()[60:, 260:]]
    rows = []
    for number, photo in enumerate(photos):
        clean = images.to_tensor(np.ascontiguousarray(photo[:SIZE, :SIZE]))[0]
        rows.append(
            [
                images.to_pixels(build(name, **options)(clean, generator(1, number)).clamp(0, 1))
                for name, options in SHOWN.values()
            ]
        )
    return side_by_side(rows, list(SHOWN))


def milliseconds(name: str, patch: int) -> float:
    """The median time of a batch as training degrades it: crops with their margin. It is the time
    of the processor, which other programs do not lengthen."""
    degradation = build(name)
    size = patch + 2 * degradation.margin
    clean = torch.rand(BATCH, 3, size, size, generator=generator(0))
    seconds = []
    for run in range(RUNS):
        begin = time.process_time()
        for number, crop in enumerate(clean):
            degradation(crop, generator(run, number))
        seconds.append(time.process_time() - begin)
    return round(1000 * sorted(seconds)[RUNS // 2], 1)


def strength(rainy: torch.Tensor, clean: torch.Tensor) -> list[float]:
    """PSNR in dB, the part of the pixels brighter by more than 0.05, and by how much the brightest
    hundredth is brighter at least."""
    added = (rainy - clean).double()
    grey = added.mean(0).flatten()
    psnr = -10 * float(added.square().mean().log10())
    return [psnr, float((grey > 0.05).double().mean()), float(grey.quantile(0.99))]


def rain_strength() -> dict[str, list[float]]:
    """Means over all pairs of the set, of its own rain and of ours over its clean images; the
    PSNR's standard deviation last."""
    rain = build("rain")
    rows: dict[str, list[list[float]]] = {"Rain100L": [], "ours": []}
    for number, path in enumerate(sorted((DATA / "clean").iterdir())):
        clean, rainy = (
            images.to_tensor(images.read_rgb8(folder / path.name))[0]
            for folder in (DATA / "clean", DATA / "rainy")
        )
        rows["Rain100L"].append(strength(rainy, clean))
        rows["ours"].append(strength(rain(clean, generator(0, number)), clean))
    return {
        name: [*np.mean(values, 0).round(3).tolist(), round(float(np.std(values, 0)[0]), 3)]
        for name, values in rows.items()
    }


def rain_table(results: dict[str, Any]) -> str:
    """The other table of the page."""
    lines = [
        "| rain | PSNR of the rainy image, dB | pixels brighter by 0.05 | brightest 1 % |",
        "|---|---:|---:|---:|",
    ]
    for name, (psnr, part, bright, spread) in results["rain"].items():
        lines.append(f"| {name} | {psnr:.1f} ± {spread:.1f} | {part:.0%} | {bright:.2f} |")
    return "\n".join(lines)


def time_table(results: dict[str, Any]) -> str:
    """A table of the page."""
    patches = list(next(iter(results["milliseconds"].values())))
    lines = [
        "| kind | " + " | ".join(f"{patch}×{patch}" for patch in patches) + " |",
        "|---|" + "---:|" * len(patches),
    ]
    for name, times in results["milliseconds"].items():
        lines.append(f"| {name} | " + " | ".join(f"{times[p]:.1f}" for p in patches) + " |")
    return "\n".join(lines)


def with_tables(page: str, results: dict[str, Any]) -> str:
    """The page with the tables of these results."""
    for name, table in (("time", time_table(results)), ("rain", rain_table(results))):
        marked = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        page = marked.sub(lambda found, table=table: found[1] + table + found[2], page)
    return page


def main() -> None:
    torch.set_num_threads(1)
    images.write(ROOT / "docs" / "degradations.jpg", picture())
    times = {name: {str(patch): milliseconds(name, patch) for patch in (64, 128)} for name in TIMED}
    rain = rain_strength() if DATA.is_dir() else json.loads(RESULTS.read_text())["rain"]
    results = {"milliseconds": times, "rain": rain}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(with_tables(PAGE.read_text(), results))


if __name__ == "__main__":
    main()
