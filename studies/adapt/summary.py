"""What the study of `noiseda adapt` says, from its results alone."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from noiseda.judgement import Verdict

HERE = Path(__file__).parent
RESULTS, MEANS, KEPT = (HERE / f"{name}.json" for name in ("results", "means", "kept"))


def table(file: Path = RESULTS) -> list[str]:
    lines = [
        "| photos | start model | photos given | start, dB | adapted, dB | other scenes, dB | "
        "photos kept back, dB | verdict | photos judged | steps | minutes |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for name, found in json.loads(file.read_text()).items():
        target, _, start = name.partition(" from ")
        # rows of a target may differ in how many of its photos were given
        target, *_ = target.split("/")
        held_out, verdict = found["held_out"], found["verdict"]
        change = held_out["adapted"] - held_out["start"]
        true = found["kept_back"]["adapted"] - found["kept_back"]["start"]
        sure = Verdict(**verdict).percent_sure
        said = f"{verdict['kind']}, {verdict['change']:+.2f} dB, {sure} % sure"
        lines.append(
            f"| {target} | {start} | {found['photos']} | {held_out['start']:.2f} | "
            f"{held_out['adapted']:.2f} | {change:+.2f} | {true:+.2f} | {said} | "
            f"{verdict['photos']} | "
            f"{found['steps']} | {sum(found['times'].values()) / 60:.0f} |"
        )
    return lines


def means_table(file: Path = MEANS) -> list[str]:
    found = json.loads(file.read_text())
    edges = found["edges"]
    lines = [
        "Mean of the noise, in units of 1/255 and over the colours, as the shipped model takes it "
        "(in brackets: true), by the brightness of what it restores (means.py):",
        "",
        "| photos | " + " | ".join(f"{a} to {b}" for a, b in pairwise(edges)) + " |",
        "|---|" + "---:|" * (len(edges) - 1),
    ]
    for target, means in found["means"].items():
        pairs = zip(means["taken"], means["true"], strict=True)
        cells = (f"{taken:+.1f} ({true:+.1f})" for taken, true in pairs)
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    return lines


def kept_table(file: Path = KEPT) -> list[str]:
    lines = [
        "Share of the photos' noise that the start models leave, tr(Σ ∂f/∂y) / tr Σ, and what a "
        "warm-up depends on beside it (kept.py):",
        "",
        "| photos | σ, of 255 | unevenly noisy | shipped | vanilla |",
        "|---|---:|---:|---:|---:|",
    ]
    for target, found in json.loads(file.read_text()).items():
        lines.append(
            f"| {target} | {found['sigma']:.1f} | {found['uneven']} of {found['photos']} | "
            f"{found['shipped']:.2f} | {found['vanilla']:.2f} |"
        )
    return lines


def readme() -> str:
    about = (HERE / "about.md").read_text().strip()
    tables = (table(), means_table(), kept_table())
    return "\n\n".join([about, *("\n".join(lines) for lines in tables)]) + "\n"


if __name__ == "__main__":
    (HERE / "README.md").write_text(readme())
