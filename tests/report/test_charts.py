"""Curves with axes that people can read."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noiseda.report.charts import line_chart, ticks

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(numbers, numbers)
def test_ticks(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    marks = ticks(low, high)
    step = marks[1] - marks[0]
    assert 2 <= len(marks) <= 8
    assert marks[0] <= low + 1e-6 * step
    assert marks[-1] >= high - 1e-6 * step
    assert high - low < 1e-9 * abs(high) or marks[-1] - marks[0] <= max(
        2.6 * (high - low), 2 * abs(high) + 2
    )


def test_round_numbers() -> None:
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert ticks(0, 9.1) == pytest.approx([0, 2, 4, 6, 8, 10])
    assert ticks(7, 7) == pytest.approx([6, 8])


def test_chart() -> None:
    chart = line_chart([0, 0.5, 1], {"<a>": [1, math.nan, 3], "b": [2, 2, 2]}, "x & y", "σ")
    assert "<a>" not in chart
    assert "x &amp; y" in chart
    paths = re.findall(r'class="line line-\d" d="([^"]*)"', chart)
    # a gap, and a line through all
    assert [re.sub(r"[\d. ]+", "", path) for path in paths] == ["MM", "MLL"]
    points = [[float(n) for n in re.findall(r"[\d.]+", path)] for path in paths]
    assert points[0] == pytest.approx([52, 208, 406, 14], abs=0.1)
    assert points[1][1] == pytest.approx(111, abs=0.1)


@pytest.mark.parametrize("values", [[math.nan] * 3, [0.0] * 3, [math.inf, 1, -1], [1e-9, 0, 0]])
def test_chart_of_little(values: list[float]) -> None:
    chart = line_chart([0, 0, 0], {"a": values}, "x", "y", from_zero=True)
    assert "nan" not in chart
    assert "inf" not in chart
