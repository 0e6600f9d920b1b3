"""The README's measured section, written from the committed result files.

    .venv/bin/python studies/measured.py           # rewrite it; refuses if a result is missing
    .venv/bin/python studies/measured.py --check   # fail if it is not what the results say

Every figure comes from a file that another command wrote, see `FILES`.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import runpy
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
FIRST_RUN = SimpleNamespace(**runpy.run_path(str(ROOT / "studies/first-run/summary.py")))
ADAPTATION = SimpleNamespace(**runpy.run_path(str(ROOT / "studies/adaptation/summary.py")))
TASKS = SimpleNamespace(**runpy.run_path(str(ROOT / "studies/tasks/summary.py")))
VERDICT = SimpleNamespace(**runpy.run_path(str(ROOT / "studies/verdict/summary.py")))
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
# result file: the command that writes it
FILES = {
    "docs/demo-scores.json": "make study-demo",
    "benchmarks/results.json": "make benchmark",
    "studies/first-run/results.json": "make study-first-run",
    "studies/loader/results.json": "make study-loader",
    "studies/adaptation/results/renoir-equal-time-0.json": "make study-adaptation",
    "studies/adapt/results.json": "make study-adapt",
    "studies/tasks/denoise.json": "make study-tasks",
    "studies/verdict/results.json": "make study-verdict",
}
DEMO_METHODS = {
    "input": "input",
    "vanilla": "vanilla",
    "vanilla-continued": "vanilla, continued",
    "adapted": "adapted to the photos",
}


class MissingError(Exception):
    """A result that is not there; the message names it and the command that measures it."""


class Results:
    """The result files under a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, file: str, *keys: str) -> Any:
        """What a file holds under these keys.

        Raises:
            MissingError: no such file, or no such key in it.
        """
        path = self.root / file
        if not path.exists():
            raise MissingError(f"{file} is missing; make it with: {FILES[file]}")
        value = json.loads(path.read_text())
        for key in keys:
            if key not in value:
                found = ".".join(keys)
                raise MissingError(f"{file} has no entry {found}; measure it with: {FILES[file]}")
            value = value[key]
        return value


def demo(results: Results) -> str:
    scores = {name: results.get("docs/demo-scores.json", name) for name in DEMO_METHODS}
    count, protocol = len(scores["input"]["images"]), scores["input"]["protocol"]
    lines = [
        f"**The demo** ({count} held-out photos with simulated camera noise, one run):",
        "",
        f"| | PSNR [{protocol}] dB | SSIM [{protocol}] |",
        "|---|---:|---:|",
    ]
    for name, label in DEMO_METHODS.items():
        mean = scores[name]["mean"]
        lines.append(f"| {label} | {mean['psnr']:.2f} | {mean['ssim']:.4f} |")
    return "\n".join(lines)


def adapt(results: Results) -> str:
    found = results.get("studies/adapt/results.json")
    results.get("studies/adapt/results.json", "renoir from shipped")
    lines = [
        filled(
            "**`noiseda adapt` on folders of photos** ([study](studies/adapt/README.md)): PSNR "
            "[rgb] in dB on photos of other scenes, and what the command said, which knows no "
            "ground truth; one run each, on one CPU core. RENOIR and PolyU are real photos; "
            "renoir-strong is RENOIR with its own noise amplified up to four times; indoor and "
            "camera are PolyU's and BSDS500's clean images with strong noise of a camera model; "
            "phone is frames of GoPro with such noise, smoothed, sharpened and compressed as a "
            "telephone does it; scan is BSDS500 with coarse grain of film; their first runs (+0.6 "
            "and +0.2 dB) led to the warm-up that is used now. On reduced (RENOIR's clean images "
            "as a camera leaves them that denoises) and resized (PolyU's, with strong noise, at "
            "half the size) nothing was chosen:"
        ),
        "",
        "| photos | given | shipped model | adapted | verdict | kept | minutes |",
        "|---|---:|---:|---:|---|---|---:|",
    ]
    for name, run in found.items():
        target, _, start = name.partition(" from ")
        target, *_ = target.split("/")
        if start == "shipped":
            scores, verdict = run["held_out"], run["verdict"]
            lines.append(
                f"| {target} | {run['photos']} | {scores['start']:.2f} | {scores['adapted']:.2f} | "
                f"{verdict['kind']}, {verdict['change']:+.2f} dB | {run['kept']} | "
                f"{sum(run['times'].values()) / 60:.0f} |"
            )
    return "\n".join(lines)


def adaptation(results: Results) -> str:
    results.get("studies/adaptation/results/renoir-equal-time-0.json", "summary")
    known = ADAPTATION.results(
        "equal-time", ADAPTATION.TARGETS, results.root / "studies" / "adaptation"
    )
    lines = [
        "**Adaptation on photos whose ground truth it never sees** "
        "([study](studies/adaptation/README.md)):",
        "",
        *ADAPTATION.overview(known, "equal-time"),
    ]
    return "\n".join(lines)


def tasks(results: Results) -> str:
    results.get("studies/tasks/denoise.json", "summary")
    known = TASKS.results(results.root / "studies" / "tasks")
    lines = [
        "**Three tasks**, at equal steps ([study](studies/tasks/README.md); what each "
        f"[network](studies/networks/README.md) costs). {TASKS.ABOUT_CELLS}",
        "",
        *TASKS.overview(known),
    ]
    return "\n".join(lines)


def verdict(results: Results) -> str:
    file = "studies/verdict/results.json"
    results.get(file, "renoir from shipped")
    intro = "**The verdict without ground truth** ([study](studies/verdict/README.md)):"
    known = VERDICT.rows(results.root / file)
    trainings = VERDICT.sentence(VERDICT.apart(known)["trainings"], "trainings")
    together = VERDICT.sentence(known, "networks (those spoiled on purpose included)")
    return filled(f"{intro} {trainings} {together}")


def first_run(results: Results) -> str:
    file = "studies/first-run/results.json"
    results.get(file, "runs")
    rates = [results.get(file, "steps_per_second", name) for name in ("vanilla", "noise-space")]
    content = results.get(file)
    gains = [gain for found in FIRST_RUN.gains(content).values() for gain in found]
    lines = [
        "**Real photos** ([the first study](studies/first-run/README.md): BSDS500 as source, "
        f"held-out scenes, {len(FIRST_RUN.seeds(content))} seeds):",
        "",
        *FIRST_RUN.table(content),
        "",
        "Noise-space minus vanilla continued for as many steps, PSNR in dB by seed:",
        "",
        *FIRST_RUN.differences(content),
        "",
        filled(
            "So at this size and length the published objective moves the PSNR by "
            f"{min(gains):+.2f} to {max(gains):+.2f} dB against the vanilla network continued for "
            f"as many steps, and one of its steps takes {rates[0] / rates[1]:.0f} times as long. "
            "The study shows it as it is."
        ),
    ]
    return "\n".join(lines)


def restoring(results: Results) -> str:
    ratio = results.get("benchmarks/results.json", "restore", "speed_ratio")
    return (
        "a 1024×1024 image with the paper's U-Net is restored "
        f"{ratio:.2f} times as fast as by a textbook U-Net in PyTorch's defaults."
    )


def step(results: Results) -> str:
    ratio = results.get("benchmarks/results.json", "step", "time_ratio")
    return f"One noise-space step with the paper's networks takes {ratio:.2f} of the time."


def bfloat16(results: Results) -> str:
    ratio = results.get("benchmarks/results.json", "bfloat16", "time_ratio")
    return f"With `training.precision=bf16-mixed` it takes {ratio:.2f} of that."


def memory(results: Results) -> str:
    peak, seconds = (
        results.get("benchmarks/results.json", "memory", key) for key in ("peak_mib", "seconds")
    )
    return (
        "`noiseda restore` takes a 24-megapixel photo through the paper's U-Net in "
        f"{peak / 1024:.1f} GiB and {seconds / 60:.1f} minutes."
    )


def loader(results: Results) -> str:
    ratio = results.get("studies/loader/results.json", "ratio")
    return (
        f"Crops come {ratio:.0f} times as fast from the memory-mapped store as from decoding a PNG "
        "for each ([loader](studies/loader/README.md))."
    )


def start(results: Results) -> str:
    seconds = results.get("benchmarks/results.json", "start", "help_seconds")
    return f"`noiseda --help` takes {seconds:.2f} s."


BLOCKS = (adapt, adaptation, tasks, verdict, demo, first_run)
SPEEDS = (restoring, step, bfloat16, memory, loader, start)


def section(root: Path = ROOT, missing: list[str] | None = None) -> str:
    """The section between the README's markers.

    Args:
        root: folder that the result files are in.
        missing: gets a line for each result that is not there, which is then left out; without
            it, that is an error.

    Raises:
        MissingError: a result is not there.
    """
    results = Results(root)

    def found(part: Callable[[Results], str]) -> list[str]:
        try:
            return [part(results)]
        except MissingError as error:
            if missing is None:
                raise
            missing.append(str(error))
            return []

    blocks = [block for part in BLOCKS for block in found(part)]
    speeds = [sentence for part in SPEEDS for sentence in found(part)]
    intro = "**Speed**, side by side on two CPU cores (`make benchmark`):"
    return "\n\n".join([*blocks, filled(" ".join([intro, *speeds]))]) + "\n"


def filled(text: str) -> str:
    """The text in lines of at most 100, code spans unbroken."""
    whole = re.sub("`[^`]+`", lambda span: span[0].replace(" ", "\0"), text)
    lines = textwrap.fill(whole, 100, break_long_words=False, break_on_hyphens=False)
    return lines.replace("\0", " ")


def parts(readme: str) -> tuple[str, str, str]:
    """The README before, inside and after its markers."""
    before, _, rest = readme.partition(BEGIN)
    inside, _, after = rest.partition(END)
    return before + BEGIN, inside, END + after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare, leaving out what is missing")
    check = parser.parse_args().check
    readme = ROOT / "README.md"
    before, inside, after = parts(readme.read_text())
    missing: list[str] = []
    wanted = section(missing=missing)
    if check:
        if inside != wanted:
            old, new = inside.splitlines(), wanted.splitlines()
            sys.exit("\n".join(difflib.unified_diff(old, new, "README.md", "results", lineterm="")))
        return
    if missing:
        sys.exit("\n".join(missing))
    readme.write_text(before + wanted + after)


if __name__ == "__main__":
    main()
