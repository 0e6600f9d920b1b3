"""Train, score and describe the models that ship with the package.

    .venv/bin/python studies/shipped/run.py                   # everything (resumable)
    .venv/bin/python studies/shipped/run.py --tasks derain    # one of denoise, derain, deblur
    .venv/bin/python studies/shipped/run.py --cards           # the model cards, from results.json

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs go to runs/shipped, sets that
studies/adaptation makes to runs/adaptation; the models and their cards to src/noiseda/models.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from noiseda import degradations, images, runtime
from noiseda.console import progress_bar
from noiseda.evaluation import evaluate, pair, to_json
from noiseda.random import generator
from noiseda.restoration import Restorer, load
from noiseda.training import Recipe, is_finished, read_recipe, resume, train

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = Path(os.environ.get("NOISEDA_DATA", ROOT.parent / "shared" / "data"))
RUNS = ROOT / "runs" / "shipped"
ADAPTATION = SimpleNamespace(**runpy.run_path(str(HERE.parent / "adaptation" / "targets.py")))
MODELS = ROOT / "src" / "noiseda" / "models"
RESULTS = HERE / "results.json"
_IMAGES = 24

Part = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """What one model is trained with and scored on.

    Attributes:
        protocol: of the scores.
        last: keys of the second stage.
        synthetic: degradations laid over BSDS500 val, by the name of the row.
        real: folders of degraded and clean images below the data, likewise.
        made: sets of studies/adaptation, by their names there.
        avoid: whether BSDS500's images that are in Rain100L are left out of the training.
        others: models for comparison, by name.
    """

    protocol: str
    last: Part
    synthetic: dict[str, Part]
    real: dict[str, tuple[str, str]]
    made: tuple[str, ...] = ()
    avoid: bool = False
    others: dict[str, Path] = field(default_factory=dict)


# Noise of more kinds than the long first stage has, after which alone strong noise of another
# demosaicing was left where it was.
_WIDER = [
    {"name": "gaussian", "sigma": (0, 75)},
    {"name": "gaussian", "sigma": (0, 50), "grain": (0, 2.5)},
    *(
        {"name": "camera", "demosaic": demosaic, "jpeg": quality}
        for demosaic in ("bilinear", "malvar")
        for quality in (None, (70, 98))
    ),
]
_LAST = {"seed": 1, "training.learning_rate": 5e-5, "training.ema_halflife": 2000}
STUDIES = {
    "denoise": Study(
        "rgb",
        {
            "seed": 1,
            "training.images": 160_000,
            "training.learning_rate": 5e-4,
            "degradation.parts": _WIDER,
        },
        {
            **{f"gaussian {s}": {"name": "gaussian", "sigma": (s, s)} for s in (15, 25, 50)},
            "camera": {"name": "camera"},
        },
        {name: (f"{name}/noisy", f"{name}/clean") for name in ("renoir", "polyu")},
        ADAPTATION.STRONG,
        # the same network after 4800 steps on Gaussian noise alone
        others={"gaussian only": ADAPTATION.START},
    ),
    "derain": Study(
        "y",
        _LAST | {"training.images": 16000},
        {
            "light rain": {"name": "rain", "density": (0.01, 0.04)},
            "dense rain": {"name": "rain", "density": (0.04, 0.15)},
        },
        {"rain100l": ("rain100l/rainy", "rain100l/clean")},
        avoid=True,
    ),
    "deblur": Study(
        "rgb",
        _LAST | {"training.images": 8000},
        {f"blur of {n} px": {"name": "motion-blur", "length": (n, n)} for n in (5, 10, 20)},
        {"gopro": ("gopro/blurry", "gopro/sharp")},
        avoid=True,
    ),
}


def run_folder(task: str, number: int) -> Path:
    return RUNS / f"{task}-{number}"


def stage(task: str, number: int) -> Recipe:
    """The first is the recipe; the second continues it."""
    study, bsds = STUDIES[task], DATA / "bsds500"
    known: list[str] = []
    if study.avoid:
        known = (DATA / "rain100l" / "bsds500_overlap.txt").read_text().split()
    clean = [
        {
            "folder": str(bsds / part),
            "exclude": [name.split("/")[1] for name in known if name.startswith(f"{part}/")],
        }
        for part in ("train", "test")
    ]
    keys: Part = {"data.clean": clean}
    if number == 2:
        keys |= study.last | {"training.start": str(run_folder(task, 1))}
    return read_recipe(HERE / f"{task}.yaml", keys)


def train_all(task: str) -> None:
    for number in (1, 2):
        folder, recipe = run_folder(task, number), stage(task, number)
        if not folder.exists():
            result = train(recipe, folder, f"{task}, stage {number}")
        elif not is_finished(folder):
            result = resume(folder, f"{task}, stage {number}")
        else:
            continue
        if not result.finished:
            raise SystemExit(130)
    MODELS.mkdir(exist_ok=True)
    shutil.copyfile(run_folder(task, 2) / "model.safetensors", MODELS / f"{task}.safetensors")


def synthetic(kind: str, part: Part) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(name, degraded, clean) of photos of BSDS500 val, which no stage sees."""
    options = dict(part)
    degrade = degradations.build(options.pop("name"), **options)
    paths = sorted((DATA / "bsds500" / "val").glob("*.jpg"))
    for number in range(_IMAGES):
        path = paths[number * len(paths) // _IMAGES]
        clean = images.to_tensor(images.read_rgb8(path))
        yield path.stem, degrade(clean, generator(0, number, kind)), clean


def real(degraded: Path, clean: Path) -> Iterator[tuple[str, Tensor, Tensor]]:
    for name, *paths in pair(degraded, clean):
        pixels = [images.to_tensor(images.read_rgb8(path)) for path in paths]
        yield name, pixels[0], pixels[1]


def score(task: str) -> Part:
    study = STUDIES[task]
    models: dict[str, Restorer | None] = {"input": None}
    models |= {name: load(path) for name, path in study.others.items()}
    models["shipped"] = load(MODELS / f"{task}.safetensors")
    results: Part = {}
    folders = {name: [DATA / part for part in parts] for name, parts in study.real.items()}
    for name in study.made:
        folder = ADAPTATION.folder_of(name)
        folders[name] = [folder / "noisy", folder / "clean"]
    sets = [*study.synthetic, *folders]
    with progress_bar("sets") as bar:
        shown = bar.add_task("scoring", total=len(sets) * len(models), note="")
        for name in sets:
            for label, model in models.items():
                bar.update(shown, note=f"{name}, {label}")
                part = study.synthetic.get(name)
                pairs = synthetic(name, part) if part else real(*folders[name])
                found = evaluate(
                    ((n, model(x.clamp(-1, 2)) if model else x, y) for n, x, y in pairs),
                    study.protocol,
                )
                content = to_json(found)
                means = {key: round(value, 4) for key, value in content["mean"].items()}
                results.setdefault(name, {})[label] = {**means, "images": len(content["images"])}
                bar.advance(shown)
    return results


def card(task: str, results: Part) -> None:
    labels = list(next(iter(results.values())))
    rows = []
    for name, scores in results.items():
        cells = [f"{scores[label]['psnr']:.2f} / {scores[label]['ssim']:.3f}" for label in labels]
        rows.append(f"| {name} | {scores['shipped']['images']} | " + " | ".join(cells) + " |")
    table = "\n".join(rows)
    head = " | ".join(labels)
    model = MODELS / f"{task}.safetensors"
    text = (HERE / f"{task}.md").read_text()
    text = text.replace(
        "TABLE", f"| images | number | {head} |\n|---|---:|{'---:|' * len(labels)}\n{table}"
    )
    text = text.replace("BYTES", f"{model.stat().st_size / 1e6:.1f} MB")
    model.with_suffix(".md").write_text(text)


def read_results() -> Part:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--cards", action="store_true")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    given = parser.parse_args()
    if not given.cards:
        runtime.prepare()
        for task in given.tasks:
            train_all(task)
            # one after the other, as somebody may look at the first while the next is trained
            RESULTS.write_text(json.dumps({**read_results(), task: score(task)}, indent=1) + "\n")
    for task in given.tasks:
        card(task, read_results()[task])
