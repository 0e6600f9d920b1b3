"""Train, score and describe the denoiser that ships with the package.

    .venv/bin/python studies/shipped/run.py            # everything (resumable)
    .venv/bin/python studies/shipped/run.py --card     # the model card, from results.json

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs go to runs/shipped; the model and
its card to src/noiseda/models.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noiseda import degradations, images, runtime
from noiseda.console import progress_bar
from noiseda.evaluation import evaluate, pair, to_json
from noiseda.random import generator
from noiseda.restoration import Restorer, load
from noiseda.training import Recipe, is_finished, read_recipe, resume, train

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DATA = Path(os.environ.get("NOISEDA_DATA", ROOT.parent / "shared" / "data"))
RUNS = ROOT / "runs" / "shipped"
MODEL = ROOT / "src" / "noiseda" / "models" / "denoise.safetensors"
CARD = MODEL.with_suffix(".md")
RESULTS = HERE / "results.json"
# a model for comparison: the same network after 4800 steps on Gaussian noise alone
BASELINE = ROOT / "runs" / "first-run" / "vanilla-0"
SYNTHETIC = {
    **{f"gaussian {s}": {"name": "gaussian", "sigma": (s, s)} for s in (15, 25, 50)},
    "camera": {"name": "camera"},
}
_IMAGES = 24


def stage(number: int) -> Recipe:
    """The first is the recipe; the second continues it with a tenth of the learning rate."""
    clean = [str(DATA / "bsds500" / part) for part in ("train", "test")]
    keys: dict[str, Any] = {"data.clean": clean}
    if number == 2:
        keys |= {
            "seed": 1,
            "training.start": str(RUNS / "stage-1"),
            "training.images": 16000,
            "training.learning_rate": 5e-5,
            "training.ema_halflife": 2000,
        }
    return read_recipe(HERE / "denoiser.yaml", keys)


def train_all() -> None:
    for number in (1, 2):
        folder, recipe = RUNS / f"stage-{number}", stage(number)
        if not folder.exists():
            result = train(recipe, folder, f"stage {number}")
        elif not is_finished(folder):
            result = resume(folder, f"stage {number}")
        else:
            continue
        if not result.finished:
            raise SystemExit(130)
    MODEL.parent.mkdir(exist_ok=True)
    shutil.copyfile(RUNS / "stage-2" / "model.safetensors", MODEL)


def synthetic(kind: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(name, degraded, clean) of photos of BSDS500 val, which no stage sees."""
    options = dict(SYNTHETIC[kind])
    degrade = degradations.build(str(options.pop("name")), **options)
    paths = sorted((DATA / "bsds500" / "val").glob("*.jpg"))
    for number in range(_IMAGES):
        path = paths[number * len(paths) // _IMAGES]
        clean = images.to_tensor(images.read_rgb8(path))
        yield path.stem, degrade(clean, generator(0, number, kind)), clean


def real(target: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    for name, noisy, clean in pair(DATA / target / "noisy", DATA / target / "clean"):
        pixels = [images.read_rgb8(path) for path in (noisy, clean)]
        yield name, images.to_tensor(pixels[0]), images.to_tensor(pixels[1])


def score() -> None:
    runtime.prepare()
    models: dict[str, Restorer | None] = {
        "input": None,
        "gaussian only": load(BASELINE),
        "shipped": load(MODEL),
    }
    results: dict[str, Any] = {}
    sets = [*SYNTHETIC, "renoir", "polyu"]
    with progress_bar("sets") as bar:
        task = bar.add_task("scoring", total=len(sets) * len(models), note="")
        for name in sets:
            for label, model in models.items():
                bar.update(task, note=f"{name}, {label}")
                pairs = synthetic(name) if name in SYNTHETIC else real(name)
                found = evaluate(
                    ((n, model(x.clamp(-1, 2)) if model else x, y) for n, x, y in pairs), "rgb"
                )
                content = to_json(found)
                means = {key: round(value, 4) for key, value in content["mean"].items()}
                results.setdefault(name, {})[label] = {**means, "images": len(content["images"])}
                bar.advance(task)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def card() -> None:
    results = json.loads(RESULTS.read_text())
    labels = list(next(iter(results.values())))
    rows = []
    for name, scores in results.items():
        cells = [f"{scores[label]['psnr']:.2f} / {scores[label]['ssim']:.3f}" for label in labels]
        rows.append(f"| {name} | {scores['shipped']['images']} | " + " | ".join(cells) + " |")
    table = "\n".join(rows)
    head = " | ".join(labels)
    text = (HERE / "card.md").read_text()
    text = text.replace(
        "TABLE", f"| images | number | {head} |\n|---|---:|{'---:|' * len(labels)}\n{table}"
    )
    text = text.replace("BYTES", f"{MODEL.stat().st_size / 1e6:.1f} MB")
    CARD.write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", action="store_true")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    if not parser.parse_args().card:
        train_all()
        score()
    card()
