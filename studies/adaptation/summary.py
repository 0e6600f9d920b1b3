"""The study's README, from the results of its targets alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from noiseda.comparison import notes, summarise, tables_text

HERE = Path(__file__).parent
TARGETS = ("renoir", "polyu", "camera")
# not what the goals are measured on, but what the choices made on those lead to elsewhere
FURTHER = ("indoor", "renoir-strong", "phone")
# where there is no warm-up, the first is the second, step for step
WEAK = ("renoir", "polyu")
SAME = {
    "two-scale-judged": "two-scale",
    "two-scale-photos-judged": "two-scale-photos-measured",
}
VIEWS = {"equal-steps": "equal steps", "equal-time": "equal wall time"}


def part(target: str, view: str, seed: int, folder: Path = HERE) -> Path:
    """The result file of one seed."""
    return folder / "results" / f"{target}-{view}-{seed}.json"


def results(
    view: str, targets: Sequence[str] = (*TARGETS, *FURTHER), folder: Path = HERE
) -> dict[str, dict[str, Any]]:
    """By target, of those that were measured: the results of all seeds as one."""
    found = {}
    for target in targets:
        files = sorted((folder / "results").glob(f"{target}-{view}-*.json"))
        if files:
            found[target] = together([json.loads(path.read_text()) for path in files])
    return found


def together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Results of several seeds, each with methods of its own, as one."""
    found = {**parts[0], "cells": []}
    for key in ("methods", "seeds", "from_fresh_weights"):
        found[key] = list(dict.fromkeys(value for one in parts for value in one[key]))
    # all lengths are at the scale of the first one's speeds
    found["plan"] = {**parts[0]["plan"]}
    for key in ("speeds", "teaching", "recipes"):
        found["plan"][key] = {k: v for one in parts for k, v in one["plan"][key].items()}
    for one in parts:
        known = {(cell["method"], cell["seed"]) for cell in found["cells"]}
        found["cells"] += [c for c in one["cells"] if (c["method"], c["seed"]) not in known]
    found["summary"] = summarise(found)
    return found


def row(found: dict[str, Any], view: str, method: str) -> dict[str, Any] | None:
    rows = found["summary"]
    return next((r for r in rows if r["view"] == view and r["method"] == method), None)


def overview(known: dict[str, dict[str, Any]], view: str) -> list[str]:
    """PSNR of every method on every target, and the mean closure, best first."""
    methods = list(dict.fromkeys(m for found in known.values() for m in found["methods"]))
    lines = {}
    for method in methods:
        rows = [
            row(found, view, method)
            or (row(found, view, SAME.get(method, "")) if t in WEAK else None)
            for t, found in known.items()
        ]
        # of the noisy photos themselves it is a large negative number that says nothing
        closures = [r["closure"]["mean"] if r and method != "input" else None for r in rows]
        told = [value for value in closures if value is not None]
        mean = fmean(told) if len(told) == len(known) else None
        cells = [_cell(one, closure) for one, closure in zip(rows, closures, strict=True)]
        text = "–" if mean is None else f"{mean:.0f} %"
        rank = mean if mean is not None else -1e9
        lines[method] = (rank, f"| {method} | " + " | ".join(cells) + f" | {text} |")
    ordered = [text for _, text in sorted(lines.values(), key=lambda line: -line[0])]
    seeds = ", ".join(f"{t} {_seeds(found)}" for t, found in known.items())
    return [
        f"PSNR [rgb] in dB, and gap closure, at {VIEWS[view]} ({seeds}):",
        "",
        "| method | " + " | ".join(known) + " | mean closure |",
        "|---|" + "---:|" * (len(known) + 1),
        *ordered,
    ]


def _cell(found: dict[str, Any] | None, closure: float | None) -> str:
    if found is None or found["psnr"]["mean"] is None:
        return "–"
    spread = found["psnr"]["std"]
    text = f"{found['psnr']['mean']:.2f}" + (f" ± {spread:.2f}" if spread is not None else "")
    return text if closure is None else f"{text}, {closure:.0f} %"


def _seeds(found: dict[str, Any]) -> str:
    """Over how many seeds the methods were measured; not all over all."""
    fewest = min(row["seeds"] for row in found["summary"] if row["steps"])
    most = len(found["seeds"])
    return _plural(most, "seed") if fewest == most else f"{fewest} to {most} seeds"


def _plural(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


def tuning(file: Path = HERE / "tuning.json") -> list[str]:
    """What the search over settings found."""
    found = json.loads(file.read_text())
    lines = [
        "| method | settings: gain over vanilla, dB (source) |",
        "|---|---|",
    ]
    for method, tried in found["methods"].items():
        best = max(one["gain"] for one in tried)
        cells = []
        for one in tried:
            options = ", ".join(f"{key} {value}" for key, value in one["options"].items())
            text = f"{options}: {one['gain']:+.2f} ({one['source']:+.2f})"
            cells.append(f"**{text}**" if one["gain"] == best else text)
        lines.append(f"| {method} | {'; '.join(cells)} |")
    return lines


def readme() -> str:
    parts = ["# Adaptation on real photos", (HERE / "about.md").read_text().strip()]
    tables = {view: results(view) for view in VIEWS}
    for targets in (TARGETS, FURTHER):
        for view, every in tables.items():
            known = {target: every[target] for target in targets if target in every}
            if known:
                parts.append("\n".join(overview(known, view)))
    for target in (*TARGETS, *FURTHER):
        found = [known[target] for known in tables.values() if target in known]
        if found:
            parts += [f"## {target}", *(tables_text(one) for one in found)]
            parts.append("\n\n".join(notes(found[-1])))
            if (HERE / f"{target}-picture.jpg").exists():
                parts.append(_picture(target))
    if (HERE / "tuning.json").exists():
        parts += ["## Settings", (HERE / "tuning.md").read_text().strip(), "\n".join(tuning())]
    parts.append((HERE / "tried.md").read_text().strip())
    return "\n\n".join(parts) + "\n"


def _picture(target: str) -> str:
    return f"![held-out photos of {target}]({target}-picture.jpg)"


if __name__ == "__main__":
    (HERE / "README.md").write_text(readme())
