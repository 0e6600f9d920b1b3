"""Table and picture of the first run, from results.json and the run folders."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

import numpy as np
from run import CONTINUED, DATA, HERE, RESULTS, RUNS, SEEDS, splits

from noiseda.evaluation.picture import side_by_side
from noiseda.images import read_rgb8, write
from noiseda.restoration import load

METHODS = ("vanilla", "vanilla continued", "noise-space")
EXAMPLES = {"polyu": ("Canon5D2_5_160_6400_bicycle_10.jpg",), "renoir": ("18.png", "22.png")}
CROP = 256
INTRODUCTION = """\
A U-Net of width 16 (0.54 M parameters, half-pixel upsampling), 64×64 patches, batch 8; source
BSDS500 (train and test) with Gaussian noise σ in [0, 75]. Vanilla: {vanilla} steps. From there
{continued} steps more, with the same samples in the same order: vanilla continued, and noise-space
adaptation as published (λ = 0.2, ramped) with a small guided predictor trained from scratch beside
it. Scores on held-out scenes that no training saw, mean ± standard deviation over {seeds} seeds;
EMA weights; protocol rgb (8 bits, PSNR and SSIM over RGB). Made by `make study-first-run`;
per-image scores in `results.json`.

The study was restarted once: with 2400 vanilla steps, seed 0, scored on these photos, looked
undertrained, so the length was doubled for all seeds."""


def report() -> None:
    results = json.loads(RESULTS.read_text())
    vanilla = results["runs"]["vanilla/0"]["steps"]
    lines = [
        "# First run: BSDS500 to real photos",
        "",
        INTRODUCTION.format(vanilla=vanilla, continued=CONTINUED // 8, seeds=len(SEEDS)),
        "",
        "| target | held-out photos | method | PSNR [rgb] dB | SSIM [rgb] |",
        "|---|---:|---|---:|---:|",
    ]
    for target, (_, held_out) in splits().items():
        score = results["input"][target]["mean"]
        start = f"| {target} | {len(held_out)} |"
        lines.append(f"{start} input | {score['psnr']:.2f} | {score['ssim']:.4f} |")
        for method in METHODS:
            means = [seed_mean(results, method, target, seed) for seed in SEEDS]
            psnr, ssim = ([mean[name] for mean in means] for name in ("psnr", "ssim"))
            lines.append(f"{start} {method} | {spread(psnr, 2)} | {spread(ssim, 4)} |")
    lines += [
        "",
        *differences(results),
        "",
        *times(results),
        "",
        "![held-out photos](picture.png)",
        "",
    ]
    (HERE / "README.md").write_text("\n".join(lines))
    write(HERE / "picture.png", picture())


def seed_mean(results: dict, method: str, target: str, seed: int) -> dict[str, float]:
    name = f"{method} {target}" if method == "noise-space" else method
    return results["runs"][f"{name}/{seed}"]["scores"][target]["mean"]


def spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def differences(results: dict) -> list[str]:
    """What adaptation adds to as many vanilla steps, seed by seed."""
    lines = ["Noise-space minus vanilla continued, PSNR in dB, seed by seed:", ""]
    for target in splits():
        gains = [
            seed_mean(results, "noise-space", target, seed)["psnr"]
            - seed_mean(results, "vanilla continued", target, seed)["psnr"]
            for seed in SEEDS
        ]
        shown = ", ".join(f"{gain:+.2f}" for gain in gains)
        lines.append(f"- {target}: {shown} (mean {statistics.mean(gains):+.2f})")
    return lines


def times(results: dict) -> list[str]:
    lines = [
        "Wall time of each training, in minutes, by seed. Other work shared the two cores, so",
        "compare methods by the steps per second below, which were measured alone and in turn.",
        "",
        "| training | steps | minutes |",
        "|---|---:|---|",
    ]
    for name in ("vanilla", "vanilla continued", *(f"noise-space {t}" for t in splits())):
        runs = [results["runs"][f"{name}/{seed}"] for seed in SEEDS]
        minutes = ", ".join(f"{run['seconds'] / 60:.1f}" for run in runs)
        lines.append(f"| {name} | {runs[0]['steps']} | {minutes} |")
    speed = results.get("steps_per_second")
    if speed:
        shown = ", ".join(f"{name} {value}" for name, value in speed.items())
        lines += ["", f"Steps per second: {shown}."]
    return lines


def picture() -> np.ndarray:
    """Crops of held-out photos: input, vanilla continued, noise-space, truth (seed 0)."""
    rows = []
    for target, names in EXAMPLES.items():
        models = [load(RUNS / "vanilla-continued-0"), load(RUNS / f"noise-space-{target}-0")]
        for name in names:
            noisy, clean = (read_rgb8(DATA / target / part / name) for part in ("noisy", "clean"))
            images = [noisy, *(model.pixels(noisy) for model in models), clean]
            top, left = ((size - CROP) // 2 for size in noisy.shape[:2])
            rows.append([image[top : top + CROP, left : left + CROP] for image in images])
    return side_by_side(rows, ["input", "vanilla continued", "noise-space", "ground truth"])
