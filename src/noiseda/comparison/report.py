"""The results of a comparison as JSON, Markdown, CSV and tables for the terminal."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noiseda import images
from noiseda.comparison.measure import LEAST_GAP, VIEWS, gaps
from noiseda.comparison.methods import ORACLE, VANILLA
from noiseda.console import duration
from noiseda.errors import RunError
from noiseda.files import write_whole

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table

_UNKNOWN = "–"


def write_reports(folder: Path, results: dict[str, Any], picture: np.ndarray | None) -> None:
    """Write `results.json`, `table.md`, `table.csv` and, if there is one, `picture.png`, each whole
    or not at all.

    Raises:
        RunError: the folder cannot be written.
    """
    try:
        for name, text in (
            ("results.json", json.dumps(results, indent=1, allow_nan=False) + "\n"),
            ("table.md", markdown(results)),
            ("table.csv", csv_text(results)),
        ):
            write_whole(folder / name, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise RunError(f"{folder}: cannot write the results: {error.strerror}") from None
    if picture is not None:
        images.write(folder / "picture.png", picture)


def tables(results: dict[str, Any]) -> list[Table]:
    """A table for each view."""
    from rich.table import Table
    from rich.text import Text

    found = []
    for view in results["views"]:
        table = Table(title=Text(_title(results, view)))
        # as Text, because Rich would read [rgb] as markup
        for number, name in enumerate(_header(results)):
            table.add_column(Text(name), justify="right" if number else "left", no_wrap=not number)
        for row in results["summary"]:
            if row["view"] == view:
                table.add_row(*map(Text, _texts(row)))
        found.append(table)
    return found


def notes(results: dict[str, Any]) -> list[str]:
    """What the tables' figures mean, and why some are missing."""
    seeds = len(results["seeds"])
    spread = f" Mean ± standard deviation over {seeds} seeds." if seeds > 1 else ""
    lines = [
        f"Gap closure: 0 % is {VANILLA}, 100 % is {ORACLE}, each continued from the same start "
        f"for as many steps, or for as long, as the method.{spread}",
        f"Source PSNR change: on degraded source images, against {VANILLA}. "
        "Seconds: of the continuation.",
    ]
    if ORACLE not in results["methods"]:
        lines.append(f"No gap closure: {ORACLE!r} is not among the methods.")
    else:
        for view in results["views"]:
            small = {
                seed: gap
                for seed, gap in gaps(results, view).items()
                if gap is None or gap < LEAST_GAP
            }
            if small:
                told = ", ".join(
                    f"{'unknown' if gap is None else f'{gap:.3f} dB'} for seed {seed}"
                    for seed, gap in small.items()
                )
                lines.append(
                    f"Gap closure at {VIEWS[view]} is undefined: {ORACLE} minus {VANILLA} is "
                    f"{told}, below {LEAST_GAP} dB."
                )
    fewer = {row["method"]: row["seeds"] for row in results["summary"] if row["seeds"] < seeds}
    if fewer:
        told = ", ".join(f"{method} {number}" for method, number in fewer.items())
        lines.append(f"Over fewer seeds: {told}.")
    fresh = results["from_fresh_weights"]
    if fresh:
        lines.append(f"From fresh weights, with a network of their own: {', '.join(fresh)}.")
    if not results["images"]["source"]:
        lines.append("No source images: set compare.source to measure the change on them.")
    return lines


def markdown(results: dict[str, Any]) -> str:
    """All of it as a Markdown page."""
    title = f"# Comparison: {results['name']}"
    picture = "![held-out images](picture.png)"
    return "\n\n".join([title, tables_text(results), *notes(results), picture]) + "\n"


def tables_text(results: dict[str, Any]) -> str:
    """The table of each view in Markdown."""
    header = _header(results)
    parts = []
    for view in results["views"]:
        rows = [row for row in results["summary"] if row["view"] == view]
        lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
        lines += [f"| {' | '.join(_texts(row))} |" for row in rows]
        parts += [f"### {_title(results, view)}", "\n".join(lines)]
    return "\n\n".join(parts)


def csv_text(results: dict[str, Any]) -> str:
    """A row for each view and method, in full precision; unknown values are empty."""
    names = {"psnr": "psnr", "ssim": "ssim", "closure": "closure_percent"}
    names["source_psnr_change"] = "source_psnr_change"
    plain = ["view", "method", "protocol", "images", "source_images", "seeds"]
    spreads = [f"{name}_{part}" for name in names.values() for part in ("mean", "std")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, *spreads, "seconds", "steps"])
    for row in results["summary"]:
        values = [row[key][part] for key in names for part in ("mean", "std")]
        writer.writerow([*(row[key] for key in plain), *values, row["seconds"], row["steps"]])
    return text.getvalue()


def _title(results: dict[str, Any], view: str) -> str:
    length = results["views"][view]
    extent = f"{length['steps']} steps" if "steps" in length else duration(length["seconds"])
    return (
        f"{VIEWS[view].capitalize()} ({extent}): {_count(results['images']['target'], 'image')}, "
        f"{_count(len(results['seeds']), 'seed')}"
    )


def _header(results: dict[str, Any]) -> list[str]:
    protocol = f"[{results['protocol']}]"
    return [
        "method",
        f"PSNR {protocol} dB",
        f"SSIM {protocol}",
        f"gap closure {protocol} %",
        f"source PSNR change {protocol} dB",
        "seconds",
        "steps",
    ]


def _texts(row: dict[str, Any]) -> list[str]:
    return [
        row["method"],
        _spread(row["psnr"], ".2f"),
        _spread(row["ssim"], ".4f"),
        _spread(row["closure"], ".1f"),
        _spread(row["source_psnr_change"], "+.2f"),
        _UNKNOWN if row["seconds"] is None else f"{row['seconds']:.1f}",
        str(row["steps"]),
    ]


def _spread(value: dict[str, Any], form: str) -> str:
    if value["mean"] is None:
        return _UNKNOWN
    # "-0.00" would be read as a loss
    mean = format(round(value["mean"], 6) + 0.0, form)
    if float(mean) == 0:
        mean = mean.replace("-", "+" if "+" in form else "")
    return mean if value["std"] is None else f"{mean} ± {value['std']:{form.lstrip('+')}}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"
