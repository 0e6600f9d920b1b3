"""What the first run found, in words and tables, from results.json alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

METHODS = ("vanilla", "vanilla continued", "noise-space")
INTRODUCTION = """\
A U-Net of width 16 (0.54 M parameters, half-pixel upsampling), 64×64 patches, batch 8; source
BSDS500 (train and test) with Gaussian noise σ in [0, 75]. Vanilla: {vanilla} steps. From there
{continued} steps more, with the same samples in the same order: vanilla continued, and noise-space
adaptation as published (λ = 0.2, ramped) with a small guided predictor trained from scratch beside
it. Scores on held-out scenes that no training saw, mean ± standard deviation over {seeds} seeds;
EMA weights; protocol rgb (8 bits, PSNR and SSIM over RGB). Made by `make study-first-run`;
per-image scores in `results.json`.

The study was restarted once: with 2400 vanilla steps, seed 0, scored on these photos, looked
undertrained, so the length was doubled for all seeds. Vanilla of seed 0 was repeated with later
code on another machine: RENOIR 36.89 instead of 36.87, PolyU 36.60 instead of 36.44. That is more
than the spread over seeds, so differences of 0.1 dB between runs on different machines say little;
within this study all runs come from one machine and one version of the code."""


def readme(results: dict) -> str:
    """The study's README."""
    introduction = INTRODUCTION.format(
        vanilla=results["runs"]["vanilla/0"]["steps"],
        continued=results["runs"]["vanilla continued/0"]["steps"],
        seeds=len(seeds(results)),
    )
    lines = ["# First run: BSDS500 to real photos", "", introduction, "", *table(results), ""]
    lines += ["Noise-space minus vanilla continued, PSNR in dB, seed by seed:", ""]
    lines += [*differences(results), "", *times(results), ""]
    return "\n".join([*lines, "![held-out photos](picture.png)", ""])


def seeds(results: dict) -> list[int]:
    return sorted(int(key.split("/")[1]) for key in results["runs"] if key.startswith("vanilla/"))


def table(results: dict) -> list[str]:
    """Scores of the input and of each method, mean and spread over the seeds."""
    lines = [
        "| target | held-out photos | method | PSNR [rgb] dB | SSIM [rgb] |",
        "|---|---:|---|---:|---:|",
    ]
    for target, scores in results["input"].items():
        start = f"| {target} | {len(scores['images'])} |"
        mean = scores["mean"]
        lines.append(f"{start} input | {mean['psnr']:.2f} | {mean['ssim']:.4f} |")
        for method in METHODS:
            means = [seed_mean(results, method, target, seed) for seed in seeds(results)]
            psnr, ssim = ([mean[name] for mean in means] for name in ("psnr", "ssim"))
            lines.append(f"{start} {method} | {spread(psnr, 2)} | {spread(ssim, 4)} |")
    return lines


def seed_mean(results: dict, method: str, target: str, seed: int) -> dict[str, float]:
    name = f"{method} {target}" if method == "noise-space" else method
    return results["runs"][f"{name}/{seed}"]["scores"][target]["mean"]


def spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def gains(results: dict) -> dict[str, list[float]]:
    """What adaptation adds to as many vanilla steps: PSNR in dB by target, one for each seed."""
    return {
        target: [
            seed_mean(results, "noise-space", target, seed)["psnr"]
            - seed_mean(results, "vanilla continued", target, seed)["psnr"]
            for seed in seeds(results)
        ]
        for target in results["input"]
    }


def differences(results: dict) -> list[str]:
    """`gains` as a list, each target's seeds and their mean."""
    return [
        f"- {target}: {', '.join(f'{gain:+.2f}' for gain in found)} "
        f"(mean {statistics.mean(found):+.2f})"
        for target, found in gains(results).items()
    ]


def times(results: dict) -> list[str]:
    """How long the trainings took."""
    lines = [
        "Wall time of each training, in minutes, by seed. Other work shared the two cores, so",
        "compare methods by the steps per second below, which were measured alone and in turn.",
        "",
        "| training | steps | minutes |",
        "|---|---:|---|",
    ]
    for name in ("vanilla", "vanilla continued", *(f"noise-space {t}" for t in results["input"])):
        runs = [results["runs"][f"{name}/{seed}"] for seed in seeds(results)]
        minutes = ", ".join(f"{run['seconds'] / 60:.1f}" for run in runs)
        lines.append(f"| {name} | {runs[0]['steps']} | {minutes} |")
    speed = results.get("steps_per_second")
    if speed:
        shown = ", ".join(f"{name} {value}" for name, value in speed.items())
        lines += ["", f"Steps per second: {shown}."]
    return lines
