"""How often the verdict without ground truth agrees with the true change of PSNR.

    .venv/bin/python studies/verdict/run.py        # judge every run there is (resumable)
    .venv/bin/python studies/verdict/summary.py    # the README, from results.json

Judged are all finished runs of studies/adaptation and of studies/adapt that are there, and networks
spoiled on purpose.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import itertools
import json
import runpy
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from summary import HERE, RESULTS, readme

from noiseda import images, runtime
from noiseda.checkpoint import ModelInfo, open_model, shipped_model
from noiseda.console import progress_bar
from noiseda.evaluation import protocol
from noiseda.files import write_whole
from noiseda.judgement import Judging, Risk, judge, network_offset
from noiseda.measurement import evenly, has_mean, matched_options, survey
from noiseda.networks import RestorationNetwork, interpolate
from noiseda.restoration import Restorer
from noiseda.training import is_finished

STUDY = SimpleNamespace(**runpy.run_path(str(HERE.parent / "adaptation" / "targets.py")))
RUNS: Path = STUDY.RUNS
# of both studies: what their networks started from
STARTS = {
    "shipped": shipped_model("denoise"),
    "vanilla": STUDY.START,
}
# photos of a target that a run is judged on
PHOTOS = 6


def pairs(target: str) -> list[tuple[Path, Path]]:
    """(noisy, clean) files of held-out photos, spread over all."""
    folder = STUDY.folder_of(target)
    _, names = STUDY.split(target)
    count = min(PHOTOS, len(names))
    chosen = [names[index * len(names) // count] for index in range(count)]
    clean = {path.stem: path for path in (folder / "clean").iterdir()}
    return [(folder / "noisy" / name, clean[Path(name).stem]) for name in chosen]


def candidates(target: str, origin: str) -> Iterator[tuple[str, RestorationNetwork]]:
    """Adapted networks by name: trained ones, then spoiled ones."""
    start, _ = open_model(STARTS[origin])
    if origin == "shipped":
        found = [RUNS.parent / "adapt" / f"{target}-shipped" / "adapted.safetensors"]
        found = [path for path in found if path.is_file()]
    else:
        every = sorted(RUNS.glob(f"{target}-equal-*/seed-*/*/*-steps"))
        found = [folder for folder in every if is_finished(folder)]
    direction = None
    for path in found:
        network, _ = open_model(path)
        if network.name == start.name:
            name = "adapt" if origin == "shipped" else "/".join(path.parts[-3:])
            if direction is None and (name == "adapt" or "/two-scale" in name):
                direction = name.split("/")[-2] if "/" in name else name, network
            yield name, network
    if direction is None:
        return
    name, adapted = direction
    for share in (-0.3, 0.5, 2.0):
        yield f"start + {share:g} ({name} - start)", interpolate(start, adapted, share)
    for amount in (0.05,):
        yield f"start + {amount:g} random", shaken(start, amount)


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


@cache
def offset_of(target: str, origin: str) -> np.ndarray | None:
    """As `noiseda adapt` takes the noise's mean from the start model."""
    network, info = open_model(STARTS[origin])
    if not has_mean((info.recipe or {}).get("degradation")):
        return None
    folder, (names, _) = STUDY.folder_of(target) / "noisy", STUDY.split(target)
    return network_offset(network, (images.read_rgb8(folder / name) for name in evenly(names, 24)))


def psnr(network: RestorationNetwork, target: str) -> list[float]:
    info = ModelInfo(network=network.name, options=network.options)
    restorer = Restorer(copy.deepcopy(network), info)
    found = []
    for noisy, clean in pairs(target):
        restored = images.to_tensor(restorer.pixels(images.read_rgb8(noisy)))
        score = protocol("rgb").score(restored, images.to_tensor(images.read_rgb8(clean)))
        found.append(float(score["psnr"][0]))
    return found


def fingerprint(*compared: RestorationNetwork) -> str:
    """Of the weights: a name stays when a model is trained again."""
    digest = hashlib.sha256()
    for weight in (weight for network in compared for weight in network.parameters()):
        digest.update(weight.detach().numpy().tobytes())
    return digest.hexdigest()[:16]


def risks(digest: str, target: str, judging: Judging) -> list[Risk]:
    """Of the photos; kept, as the rule that decides by them may change."""
    offset = None if judging.offset is None else judging.offset.round(6).tolist()
    noise = json.dumps(judging.noise if offset is None else [judging.noise, offset])
    noise = hashlib.sha256(noise.encode()).hexdigest()[:8]
    file = RUNS.parent / "verdict" / f"{target}-{digest}-{noise}.npz"
    if not file.is_file():
        found = [judging.risk(images.read_rgb8(noisy)) for noisy, _ in pairs(target)]
        told = [one for one in found if one is not None]
        arrays = [array for one in told for array in (one.least, one.start, one.change)]
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, *arrays)
    arrays = list(np.load(file).values())
    return [Risk(*parts) for parts in zip(arrays[::3], arrays[1::3], arrays[2::3], strict=True)]


def run(targets: Sequence[str], starts: Sequence[str]) -> None:
    runtime.prepare()
    for origin, target in itertools.product(starts, targets):
        start, _ = open_model(STARTS[origin])
        group = f"{target} from {origin}"
        before = None
        with progress_bar("runs") as bar:
            task = bar.add_task(f"judging {group}", total=None, note="")
            for name, network in candidates(target, origin):
                bar.update(task, note=name)
                known = results().get(group, {}).get(name, {})
                digest = fingerprint(start, network)
                if known.get("weights") != digest:
                    before = before or psnr(start, target)
                    change = np.array(psnr(network, target)) - before
                    known = {
                        "weights": digest,
                        "true": round(float(change.mean()), 3),
                        "true_by_photo": change.round(3).tolist(),
                    }
                judging = Judging(
                    start, network, noise_of(target), offset=offset_of(target, origin)
                )
                verdict = judge(risks(digest, target, judging))
                known |= {**asdict(verdict), "kept": verdict.worth_keeping}
                # another process may have judged others meanwhile
                every = results()
                every.setdefault(group, {})[name] = known
                write_whole(RESULTS, (json.dumps(every, indent=1) + "\n").encode())
                bar.advance(task)


def results() -> dict[str, dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", default=",".join((*STUDY.TARGETS, *STUDY.STRONG, *STUDY.NEW)))
    parser.add_argument("--starts", default=",".join(STARTS))
    given = parser.parse_args()
    run(given.targets.split(","), given.starts.split(","))
    (HERE / "README.md").write_text(readme())
