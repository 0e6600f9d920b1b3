"""Can the adapted model be judged without ground truth where the degradation is rain or blur?

    .venv/bin/python studies/redegradation/run.py                    # everything (resumable)
    .venv/bin/python studies/redegradation/run.py --tasks derain --steps 200
    .venv/bin/python studies/redegradation/run.py --readme           # from text.md and results.json

The shipped models are adapted to three quarters of Rain100L's rainy photos, and to GoPro's blurred
ones but for two sequences; with and without ground truth. On the rest, the true change of PSNR is
compared with that of the candidate judge in judge.py, also for networks that are spoiled on
purpose. Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs go to runs/redegradation.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from judge import redegraded

from noiseda import adaptation, degradations, images, runtime
from noiseda.checkpoint import ModelInfo, open_model, shipped_model
from noiseda.evaluation import pair, protocol
from noiseda.judgement import judge
from noiseda.networks import RestorationNetwork
from noiseda.random import generator
from noiseda.restoration import Restorer
from noiseda.training import Recipe, is_finished, resume, train

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = Path(os.environ.get("NOISEDA_DATA", ROOT.parent / "shared" / "data"))
RUNS = ROOT / "runs" / "redegradation"
RESULTS = HERE / "results.json"
# photos to score and judge on, at most, and the side of their middle that is scored and judged
PHOTOS, _SCORED, _JUDGED = 12, 384, 192
SHARES = (-1.0, 2.0)

Part = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Photos with ground truth, of one task.

    Attributes:
        degraded, clean: folders below the data.
        protocol: of the true PSNR.
        held_out: whether a photo is scored on, of its number and name.
        methods: objectives by name; "oracle" alone sees the ground truth.
    """

    degraded: str
    clean: str
    protocol: str
    held_out: Callable[[int, str], bool]
    methods: dict[str, Part]

    def split(self) -> tuple[list[str], list[tuple[Path, Path]]]:
        """Names of the photos to learn from, and (degraded, clean) of those to score on."""
        found = pair(DATA / self.degraded, DATA / self.clean)
        held = [one for number, one in enumerate(found) if self.held_out(number, one[0])]
        learned = [one[1].name for one in found if one not in held]
        return learned, [(degraded, clean) for _, degraded, clean in held][:PHOTOS]


def own(turns: str, **options: Any) -> Part:
    return {"name": "self-taught", "content": "photos", "turns": turns, "windows": 24, **options}


# what makes targets of the photos
TEACHERS: dict[str, Part] = {
    "mirrored": {"name": "self-taught", "turns": "mirror"},
    "all eight turns": {"name": "self-taught", "turns": "all"},
    "mirrored, 2 passes": {"name": "self-taught", "turns": "mirror", "passes": 2},
    "two-scale": {"name": "two-scale"},
}
TARGETS = {
    "derain": Target(
        "rain100l/rainy",
        "rain100l/clean",
        "y",
        lambda number, name: number % 4 == 0,
        {
            "self-taught": own("mirror"),
            "oracle": {"name": "supervised"},
        },
    ),
    "deblur": Target(
        "gopro/blurry",
        "gopro/sharp",
        "rgb",
        # whole sequences
        lambda number, name: "0374_" in name or "0410_" in name,
        {
            "self-taught": own("all"),
            "oracle": {"name": "supervised"},
        },
    ),
}


def adapted(task: str, name: str, steps: int) -> RestorationNetwork:
    """The shipped model after training by a method."""
    target, folder = TARGETS[task], RUNS / f"{task}-{steps}" / name.replace(", ", "-")
    start = shipped_model(task)
    network, info = open_model(start)
    objective = target.methods[name]
    photos = {"folder": str(DATA / target.degraded), "include": target.split()[0]}
    content = {
        "name": "redegradation",
        "task": task,
        "data": {"real": photos, "patch": 64, "batch": 8},
        "degradation": (info.recipe or {})["degradation"],
        "network": {"name": network.name, **network.options},
        "objective": objective,
        "training": {
            "images": 8 * steps,
            "learning_rate": 3e-4,
            "ema_halflife": 1000,
            "clip_norm": 1.0,
            "start": str(start),
            "devices": 1,
        },
    }
    if objective["name"] == "supervised":
        content["data"]["truth"] = str(DATA / target.clean)
        # the objective does not look at synthetic pairs, but a recipe has some
        content["data"]["clean"] = {**photos, "folder": str(DATA / target.clean)}
    if not folder.exists():
        train(Recipe.model_validate(content), folder, f"{task}, {name}")
    elif not is_finished(folder):
        resume(folder, f"{task}, {name}")
    return open_model(folder)[0]


def mixed(start: RestorationNetwork, other: RestorationNetwork, share: float) -> RestorationNetwork:
    """Weights on the line through both networks, at `share` of the way."""
    network = copy.deepcopy(start)
    with torch.no_grad():
        for weight, far in zip(network.parameters(), other.parameters(), strict=True):
            weight += share * (far - weight)
    return network


def candidates(task: str, steps: int) -> Iterator[tuple[str, RestorationNetwork]]:
    start, _ = open_model(shipped_model(task))
    for name in TARGETS[task].methods:
        network = adapted(task, name, steps)
        yield name, network
        if name in ("self-taught", "oracle"):
            for share in SHARES:
                yield f"start + {share:g} ({name} - start)", mixed(start, network, share)


def psnr(network: RestorationNetwork, target: Target) -> np.ndarray:
    """Of the middle of each photo that is scored on, dB."""
    info = ModelInfo(network=network.name, options=network.options)
    restorer = Restorer(copy.deepcopy(network), info)
    found = []
    for degraded, clean in target.split()[1]:
        restored = images.to_tensor(restorer.pixels(middle(degraded, _SCORED)))
        truth = images.to_tensor(middle(clean, _SCORED))
        found.append(float(protocol(target.protocol).score(restored, truth)["psnr"][0]))
    return np.array(found)


def taught(network: RestorationNetwork, target: Target) -> dict[str, float]:
    """PSNR of the photos' targets, of the middle of each, dB."""
    teachers = {name: adaptation.build(**options).teach for name, options in TEACHERS.items()}
    found = {}
    for name, teach in {"the restoration itself": _as_it_is, **teachers}.items():
        scores = []
        for degraded, clean in target.split()[1]:
            photo, truth = (images.to_tensor(middle(path, _JUDGED)) for path in (degraded, clean))
            made = teach(network, photo.to(memory_format=torch.channels_last))
            scores.append(float(protocol(target.protocol).score(made, truth)["psnr"][0]))
        found[name] = round(float(np.mean(scores)), 3)
    return found


@torch.no_grad()
def _as_it_is(network: torch.nn.Module, photo: torch.Tensor) -> torch.Tensor:
    return network(photo)


def middle(path: Path, side: int) -> np.ndarray:
    """The middle of a photo, at most of this height and width, H×W×3 uint8."""
    pixels = images.read_rgb8(path)
    top, left = (max(0, (size - side) // 2) for size in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def judged(start: RestorationNetwork, other: RestorationNetwork, task: str) -> Part:
    _, info = open_model(shipped_model(task))
    options = dict((info.recipe or {})["degradation"])
    degrade = degradations.build(options.pop("name"), **options)
    risks = []
    for number, (path, _) in enumerate(TARGETS[task].split()[1]):
        photo = images.to_tensor(middle(path, _JUDGED)).to(memory_format=torch.channels_last)
        draws = generator(0, number, "redegradation")
        risks.append(redegraded(start, other, photo, degrade, draws, draws=2))
    verdict = judge(risks)
    return {"judged": verdict.kind, "estimate": round(verdict.change or 0.0, 3)}


def run(task: str, steps: int) -> None:
    runtime.prepare()
    start = runtime.fast_layout(open_model(shipped_model(task))[0]).eval()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known = results.setdefault(task, {"steps": steps, "networks": {}})["networks"]
    before = psnr(start, TARGETS[task])
    results[task]["start"] = round(float(before.mean()), 3)
    if "targets" not in results[task]:
        results[task]["targets"] = taught(start, TARGETS[task])
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for name, network in candidates(task, steps):
        if name in known:
            continue
        network = runtime.fast_layout(network).eval()
        change = psnr(network, TARGETS[task]) - before
        known[name] = {"true": round(float(change.mean()), 3), **judged(start, network, task)}
        print(task, name, known[name], flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def readme() -> str:
    results = json.loads(RESULTS.read_text())
    text = (HERE / "text.md").read_text()
    for task, found in results.items():
        rows = ["| network | true change, dB | estimated, dB | judged |", "|---|---:|---:|---|"]
        rows += [
            f"| {name} | {one['true']:+.2f} | {one['estimate']:+.2f} | {one['judged']} |"
            for name, one in found["networks"].items()
        ]
        text = text.replace(f"TABLE {task}", "\n".join(rows))
        targets = ["| target | PSNR, dB |", "|---|---:|"]
        targets += [f"| {name} | {one:.2f} |" for name, one in found["targets"].items()]
        text = text.replace(f"TARGETS {task}", "\n".join(targets))
        text = text.replace(f"START {task}", f"{found['start']:.2f} dB")
        text = text.replace(f"STEPS {task}", str(found["steps"]))
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--readme", action="store_true")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    given = parser.parse_args()
    if not given.readme:
        for task in given.tasks:
            run(task, given.steps)
    (HERE / "README.md").write_text(readme())
