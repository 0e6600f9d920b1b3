"""How often the verdict without ground truth agrees with the true change of PSNR.

    .venv/bin/python studies/verdict/run.py        # judge every run there is (resumable)
    .venv/bin/python studies/verdict/summary.py    # the README, from results.json

Judged are all finished runs of studies/adaptation, and networks spoiled on purpose.
"""

from __future__ import annotations

import copy
import json
import runpy
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from summary import HERE, RESULTS, readme

from noiseda import images, runtime
from noiseda.checkpoint import ModelInfo, open_model
from noiseda.console import progress_bar
from noiseda.evaluation import protocol
from noiseda.files import write_whole
from noiseda.judgement import Judging, judge
from noiseda.measurement import matched_options, survey
from noiseda.networks import RestorationNetwork
from noiseda.restoration import Restorer
from noiseda.training import is_finished

STUDY = SimpleNamespace(**runpy.run_path(str(HERE.parent / "adaptation" / "targets.py")))
RUNS: Path = STUDY.RUNS
START = RUNS.parent / "first-run" / "vanilla-0"
# photos of a target that a run is judged on
PHOTOS = 8


def pairs(target: str) -> list[tuple[Path, Path]]:
    """(noisy, clean) files of held-out photos, spread over all."""
    folder = STUDY.folder_of(target)
    _, names = STUDY.split(target)
    count = min(PHOTOS, len(names))
    chosen = [names[index * len(names) // count] for index in range(count)]
    clean = {path.stem: path for path in (folder / "clean").iterdir()}
    return [(folder / "noisy" / name, clean[Path(name).stem]) for name in chosen]


def candidates(target: str) -> Iterator[tuple[str, RestorationNetwork]]:
    """Adapted networks by name: trained ones, then spoiled ones."""
    start, _ = open_model(START)
    for folder in sorted(RUNS.glob(f"{target}-equal-*/seed-*/*/*-steps")):
        if is_finished(folder):
            network, _ = open_model(folder)
            if network.name == start.name:
                yield "/".join(folder.parts[-3:]), network
    found = sorted(RUNS.glob(f"{target}-equal-*/seed-0/two-scale/*-steps"))
    if not found:
        return
    adapted, _ = open_model(found[0])
    for share in (-1.0, -0.3, 0.5, 2.0, 4.0):
        yield f"start + {share:g} (two-scale - start)", mixed(start, adapted, share)
    for amount in (0.02, 0.05):
        yield f"start + {amount:g} random", shaken(start, amount)


def mixed(
    start: RestorationNetwork, adapted: RestorationNetwork, share: float
) -> RestorationNetwork:
    """Weights on the line through both networks, at `share` of the way."""
    network = copy.deepcopy(start)
    with torch.no_grad():
        for weight, other in zip(network.parameters(), adapted.parameters(), strict=True):
            weight += share * (other - weight)
    return network


def shaken(start: RestorationNetwork, amount: float) -> RestorationNetwork:
    """Noise on the weights, relative to their standard deviation."""
    network = copy.deepcopy(start)
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight += amount * weight.std() * torch.randn(weight.shape, generator=source)
    return network


@cache
def noise_of(target: str) -> dict[str, Any] | None:
    """As `noiseda adapt` measures it, in all photos of the folder."""
    found = survey(STUDY.folder_of(target) / "noisy").noise
    return matched_options(found) if found else None


def psnr(network: RestorationNetwork, target: str) -> list[float]:
    info = ModelInfo(network=network.name, options=network.options)
    restorer = Restorer(copy.deepcopy(network), info)
    found = []
    for noisy, clean in pairs(target):
        restored = images.to_tensor(restorer.pixels(images.read_rgb8(noisy)))
        score = protocol("rgb").score(restored, images.to_tensor(images.read_rgb8(clean)))
        found.append(float(score["psnr"][0]))
    return found


def run() -> None:
    runtime.prepare()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    start, _ = open_model(START)
    for target in STUDY.TARGETS:
        before = None
        known = results.setdefault(target, {})
        with progress_bar("runs") as bar:
            task = bar.add_task(f"judging {target}", total=None, note="")
            for name, network in candidates(target):
                bar.update(task, note=name)
                if name not in known:
                    before = before or psnr(start, target)
                    change = np.array(psnr(network, target)) - before
                    judging = Judging(start, network, noise_of(target))
                    risks = [judging.risk(images.read_rgb8(noisy)) for noisy, _ in pairs(target)]
                    verdict = judge([found for found in risks if found is not None])
                    known[name] = {
                        "true": round(float(change.mean()), 3),
                        "true_by_photo": change.round(3).tolist(),
                        **asdict(verdict),
                    }
                    write_whole(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
                bar.advance(task)


if __name__ == "__main__":
    run()
    (HERE / "README.md").write_text(readme())
