"""The page of a report: one HTML file with its style and script inside."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from noiseda.report.charts import line_chart
from noiseda.report.content import Noise, Report, Verdict
from noiseda.report.pictures import VIEWS

_COLOURS = ("red", "green", "blue")
_HEADLINES = {"better": "Better", "worse": "Worse", "unsure": "Not sure"}


def page(report: Report, shown: Sequence[dict[str, Any]]) -> str:
    """The whole page.

    Args:
        report: its `shown` is not touched.
        shown: of each photo, what `Pictures.add` said of it.
    """
    parts = {
        "title": escape(report.title),
        "style": _resource("page.css"),
        "script": _resource("page.js"),
        "data": _json({"views": VIEWS, "photos": shown}),
        "verdict": _verdict(report.verdict),
        "sections": "".join(_sections(report)),
    }
    # in one pass, so that nothing inside a part is taken for the place of another
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _resource("page.html"))


def _resource(name: str) -> str:
    return resources.files("noiseda.report").joinpath(name).read_text("utf-8")


def _json(content: Any) -> str:
    """JSON that can stand inside a script element: nothing in it looks like a tag."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _verdict(verdict: Verdict) -> str:
    facts = []
    if verdict.psnr_change is not None:
        text = f"{verdict.psnr_change:+.2f} dB PSNR"
        if verdict.interval is not None:
            text += " ({:+.2f} to {:+.2f})".format(*verdict.interval)
        percent = 100 * (10 ** (-verdict.psnr_change / 20) - 1)
        words = f"{abs(percent):.0f} % {'less' if percent < 0 else 'more'} error"
        facts.append(f"<b>Estimated change</b> {text}, that is {words}")
    if verdict.confidence is not None:
        facts.append(f"<b>Confidence</b> {100 * verdict.confidence:.0f} %")
    lines = "".join(f"<li>{fact}</li>" for fact in facts)
    return (
        f'<div class="verdict {verdict.kind}"><strong>{_HEADLINES[verdict.kind]}</strong>'
        f"<p>{escape(verdict.sentence)}</p><ul>{lines}</ul></div>"
    )


def _sections(report: Report) -> Iterable[str]:
    looked = "".join(f"<li>{escape(sentence)}</li>" for sentence in report.looked)
    yield _section("What was found", looked and f"<ul>{looked}</ul>")
    yield _section("The noise of this camera", _noise(report.noise) if report.noise else "")
    photos = report.photos
    rows = [("usable", photos.usable), ("unreadable", photos.unreadable)]
    facts = [(name, str(count)) for name, count in [*rows, ("duplicates", photos.duplicates)]]
    if photos.megapixels is not None:
        smallest, median, largest = photos.megapixels
        facts.append(("megapixels", f"{smallest:.3g} to {largest:.3g}, median {median:.3g}"))
    yield _section("The photos", _table(facts))
    total = {"total": sum(report.times.values())} if len(report.times) > 1 else {}
    times = {**report.times, **total}
    yield _section("Time", _table([(name, duration(times[name])) for name in times]))
    yield _section("While adapting", _history(report))
    yield _section("Settings", _table(report.settings.items()))


def _section(title: str, body: str) -> str:
    """Nothing if there is nothing to say."""
    return body and f"<section><h2>{title}</h2>{body}</section>"


def _noise(noise: Noise) -> str:
    sigma = {name: np.asarray(values) for name, values in zip(_COLOURS, noise.sigma, strict=True)}
    chart = line_chart(
        noise.brightness, sigma, "brightness (0 black, 1 white)", "noise σ (1/255)", from_zero=True
    )
    distances = [f"{number} px" for number in range(1, len(noise.horizontal) + 1)]
    ways = {"horizontally": noise.horizontal, "vertically": noise.vertical}
    return (
        "<p>Standard deviation of the noise, from dark to bright parts of the photos.</p>"
        f'<div class="rgb">{chart}</div>'
        "<p>Correlation of the noise with that of nearby pixels and between colours: 0 is none, "
        "1 is complete. Noise that spreads over pixels looks like blotches.</p>"
        f"{_matrix('distance', distances, ways)}"
        f"{_matrix('colour', _COLOURS, dict(zip(_COLOURS, noise.colours, strict=True)))}"
    )


def _history(report: Report) -> str:
    names = list(dict.fromkeys(name for _, values in report.history for name in values))
    seconds = [time for time, _ in report.history]
    if len(seconds) < 2:
        return ""
    minutes = seconds[-1] > 180
    x = [time / 60 for time in seconds] if minutes else seconds
    label = "minutes" if minutes else "seconds"
    return '<div class="charts">{}</div>'.format(
        "".join(
            line_chart(
                x, {name: [values.get(name, math.nan) for _, values in report.history]}, label, name
            )
            for name in names
        )
    )


def _table(rows: Iterable[tuple[str, str]]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows
    )
    return lines and f"<table>{lines}</table>"


def _matrix(corner: str, columns: Iterable[str], rows: dict[str, Any]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f"<td>{_number(value)}</td>" for value in np.asarray(values, float))
        + "</tr>"
        for name, values in rows.items()
    )
    return f'<table class="numbers"><tr><th scope="col">{corner}</th>{head}</tr>{lines}</table>'


def _number(value: float) -> str:
    # "-0.00" would be read as a sign
    return f"{round(value, 2) + 0.0:.2f}" if math.isfinite(value) else "–"


def duration(seconds: float) -> str:
    """For people."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
