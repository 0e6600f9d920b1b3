"""Line charts as SVG inside a page, which gives them their colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 42


def line_chart(
    x: Sequence[float] | np.ndarray,
    lines: Mapping[str, Sequence[float] | np.ndarray],
    x_label: str,
    y_label: str,
    from_zero: bool = False,
) -> str:
    """An `<svg>` of one or more lines over a common axis, with a legend if there are several.

    Args:
        x: K values.
        lines: name to K values; where one is not finite, the line has a gap.
        x_label, y_label: what the axes show, with units.
        from_zero: let the vertical axis begin at zero.

    Returns:
        Line number i, from 0, is of the class `line-i`, and so is its entry in the legend.
    """
    values = np.array([list(line) for line in lines.values()], float)
    places = np.asarray(x, float)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    across = ticks(places.min(), places.max())
    up = ticks(min(low, 0.0) if from_zero else low, high)

    def at(value: float, marks: list[float], start: float, length: float) -> float:
        return start + length * (value - marks[0]) / (marks[-1] - marks[0])

    def to_x(value: float) -> float:
        return at(value, across, _LEFT, _WIDTH - _LEFT - _RIGHT)

    def to_y(value: float) -> float:
        return at(value, up, _HEIGHT - _BOTTOM, _TOP + _BOTTOM - _HEIGHT)

    bottom = _HEIGHT - _BOTTOM
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_label)} '
        f'by {escape(x_label)}">'
    ]
    for mark in up:
        y = to_y(mark)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="end">{mark:.6g}</text>')
    for mark in across:
        x_mark = to_x(mark)
        parts.append(f'<path class="grid" d="M{x_mark:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text x="{x_mark:.1f}" y="{bottom + 16}" class="mid">{mark:.6g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" class="mid">{escape(x_label)}</text>')
    parts.append(
        f'<text transform="translate(13 {(_TOP + bottom) / 2}) rotate(-90)" class="mid">'
        f"{escape(y_label)}</text>"
    )
    for number, (name, line) in enumerate(zip(lines, values, strict=True)):
        path, pen = "", "M"
        for place, value in zip(places, line, strict=True):
            if math.isfinite(value):
                path += f"{pen}{to_x(place):.1f} {to_y(value):.1f}"
            pen = "L" if math.isfinite(value) else "M"
        parts.append(
            f'<path class="line line-{number}" d="{path}"><title>{escape(name)}</title></path>'
        )
    parts.append("</svg>")
    if len(lines) > 1:
        names = [f'<span class="line-{i}">{escape(name)}</span>' for i, name in enumerate(lines)]
        parts.append(f'<p class="legend">{" ".join(names)}</p>')
    return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Three to eight round numbers at equal distances, from `low` or below to `high` or above."""
    span = high - low if high > low else max(abs(high), 1.0)
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= span / 5)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [number * step for number in range(first, last + 1)]
