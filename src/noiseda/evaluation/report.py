"""Scores as JSON, CSV or a table in the terminal."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noiseda.errors import NoiseDAError
from noiseda.evaluation.folders import Scores
from noiseda.evaluation.protocols import Metric
from noiseda.files import write_whole
from noiseda.images.library import shown

if TYPE_CHECKING:
    from rich.table import Table


def to_json(scores: Scores) -> dict[str, Any]:
    """Scores as a dict that is strictly valid JSON: `protocol`, `images` and `mean`.

    Infinite values (PSNR of identical images) and NaN (SSIM of images too small for it) become
    None, since JSON has neither.
    """
    return {
        "protocol": scores.protocol,
        "images": [_finite(image) for image in scores.images],
        "mean": _finite(scores.mean),
    }


def write_json(scores: Scores, path: Path, overwrite: bool = False) -> None:
    """Write `to_json(scores)` as a UTF-8 file, whole or not at all.

    Raises:
        NoiseDAError: the file exists and `overwrite` is not set, or it cannot be written.
    """
    _write(json.dumps(to_json(scores), indent=2, allow_nan=False) + "\n", Path(path), overwrite)


def write_csv(scores: Scores, path: Path, overwrite: bool = False) -> None:
    """Write one row an image (name, each metric, protocol) and a last row `mean`; whole or not at
    all. Full precision; infinite values and NaN are written `inf` and `nan`.

    Raises:
        NoiseDAError: the file exists and `overwrite` is not set, or it cannot be written.
    """
    keys = list(scores.metrics)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *keys, "protocol"])
    for row in [*scores.images, {"name": "mean", **scores.mean}]:
        writer.writerow([row["name"], *(repr(float(row[key])) for key in keys), scores.protocol])
    _write(text.getvalue(), Path(path), overwrite)


def table(scores: Scores) -> Table:
    """Scores for the terminal; every metric's header names the protocol."""
    from rich.table import Table
    from rich.text import Text

    # as Text, because Rich would read [rgb], or brackets in a file name, as markup
    metrics = scores.metrics
    view = Table(show_footer=True)
    count = len(scores.images)
    view.add_column(
        Text("image"), Text(f"mean of {count} image{'s' * (count != 1)}"), overflow="fold"
    )
    for key, metric in metrics.items():
        # extra metrics are the same in every protocol
        named = metric.label if key in scores.extra else f"{metric.label} [{scores.protocol}]"
        header = f"{named} {metric.unit}".rstrip()
        mean = Text(_number(scores.mean[key], metric))
        view.add_column(Text(header), mean, justify="right", no_wrap=True)
    for image in scores.images:
        values = [Text(_number(image[key], metric)) for key, metric in metrics.items()]
        view.add_row(Text(image["name"]), *values)
    return view


def _number(value: float, metric: Metric) -> str:
    return f"{value:.{metric.digits}f}"


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def _write(text: str, path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise NoiseDAError(f"{shown(path)} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise NoiseDAError(f"{shown(path)} exists; choose another name or pass --overwrite")
    try:
        # file names that are not UTF-8 come back out as the bytes they were
        write_whole(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise NoiseDAError(
            f"cannot write {shown(path)}: {reason}; check that its folder exists and is writable"
        ) from None
