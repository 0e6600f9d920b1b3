"""The study's README, from the results of its tasks alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noiseda.comparison import notes, tables_text

HERE = Path(__file__).parent
TITLES = {
    "denoise": "Denoising: Gaussian noise to RENOIR",
    "derain": "Deraining: our streaks to Rain100L",
    "deblur": "Deblurring: our motion blur to GoPro",
}
ABOUT_CELLS = "PSNR in dB, and gap closure:"
WHOLE = """## The small recipes trained whole

From fresh weights, with nothing changed but folders (`whole.py`). As they ship, their objective is
`noise-space`; vanilla is trained on the same samples. PSNR in dB and SSIM, of the images that the
tables score; one seed. Minutes: wall time of the whole training on two cores, its validation
included, with nothing else running."""


def results(folder: Path = HERE) -> dict[str, dict[str, Any]]:
    """By task, of those that were measured."""
    files = {task: folder / f"{task}.json" for task in TITLES}
    return {task: json.loads(path.read_text()) for task, path in files.items() if path.exists()}


def overview(known: dict[str, dict[str, Any]]) -> list[str]:
    """PSNR and gap closure of every method in every task."""
    methods = list(dict.fromkeys(m for found in known.values() for m in found["methods"]))
    heads = [
        f"{task} [{found['protocol']}], {_count(len(found['seeds']), 'seed')}"
        for task, found in known.items()
    ]
    lines = [
        f"| method | {' | '.join(heads)} |",
        "|---|" + "---:|" * len(heads),
    ]
    for method in methods:
        cells = [_cell(found, method) for found in known.values()]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def whole(folder: Path = HERE) -> list[str]:
    """The small recipes trained whole, of the tasks where that was done; else nothing."""
    lines = []
    for task in TITLES:
        path = folder / "whole" / f"{task}.json"
        found = json.loads(path.read_text()) if path.exists() else {}
        if found:
            trained = [found[name] for name in ("vanilla", "noise-space")]
            means = [found["input"]["mean"], *(run["scores"]["mean"] for run in trained)]
            cells = [f"{_digits(mean['psnr'], 2)}, {_digits(mean['ssim'], 4)}" for mean in means]
            cells += [_minutes(run["wall"]) for run in trained]
            head = f"| `{task}-small` | {found['protocol']} | {trained[0]['steps']} | "
            lines.append(f"{head}{' | '.join(cells)} |")
    heads = ["recipe", "protocol", "steps", "input", "vanilla", "as it ships"]
    heads += ["minutes, vanilla", "minutes, as it ships"]
    rule = "|---|---|" + "---:|" * (len(heads) - 2)
    return [f"| {' | '.join(heads)} |", rule, *lines] if lines else []


def readme(folder: Path = HERE) -> str:
    known = results(folder)
    parts = ["# Three tasks, from vanilla to oracle", (HERE / "about.md").read_text().strip()]
    if known:
        parts += [ABOUT_CELLS, "\n".join(overview(known))]
    if lines := whole(folder):
        parts += [WHOLE, "\n".join(lines)]
    for task, found in known.items():
        parts += [f"## {TITLES[task]}", tables_text(found), "\n\n".join(notes(found))]
        parts.append(f"![held-out images of {task}]({task}-picture.jpg)")
    missing = [task for task in TITLES if task not in known]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.")
    return "\n\n".join(parts) + "\n"


def _cell(found: dict[str, Any], method: str) -> str:
    row = next((row for row in found["summary"] if row["method"] == method), None)
    if row is None or row["psnr"]["mean"] is None:
        return "–"
    spread, closure = row["psnr"]["std"], row["closure"]["mean"]
    text = f"{row['psnr']['mean']:.2f}" + (f" ± {spread:.2f}" if spread is not None else "")
    # of the degraded images themselves it says nothing
    return text if closure is None or method == "input" else f"{text}, {closure:.0f} %"


def _digits(value: float | None, places: int) -> str:
    """None is the PSNR of identical images, and the SSIM of some that are too small."""
    return "–" if value is None else f"{value:.{places}f}"


def _minutes(wall: dict[str, Any] | None) -> str:
    return "–" if wall is None else f"{wall['seconds'] / 60:.0f}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


if __name__ == "__main__":
    (HERE / "README.md").write_text(readme())
