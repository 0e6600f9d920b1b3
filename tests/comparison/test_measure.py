"""Gap closure, means over seeds, and the order of tables, by hand."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noiseda.comparison.measure import LEAST_GAP, VIEWS, gap_closure, gaps, spread, summarise
from noiseda.comparison.report import csv_text, markdown, notes, tables

decibels = st.floats(5, 60)
gap_sizes = st.floats(LEAST_GAP * 1.001, 30)


@given(decibels, gap_sizes, st.floats(-3, 3), st.floats(-20, 20))
def test_closure(vanilla: float, gap: float, part: float, shift: float) -> None:
    oracle = vanilla + gap
    assert gap_closure(vanilla, vanilla, oracle) == 0
    assert gap_closure(oracle, vanilla, oracle) == pytest.approx(100)
    # linear between and beyond, whatever the level
    value = gap_closure(vanilla + part * gap, vanilla, oracle)
    assert value == pytest.approx(100 * part, abs=1e-6)
    moved = gap_closure(vanilla + part * gap + shift, vanilla + shift, oracle + shift)
    assert moved == pytest.approx(value, abs=1e-6)


@given(decibels, decibels, st.floats(-30, LEAST_GAP * 0.999))
def test_no_closure_of_no_gap(psnr: float, vanilla: float, gap: float) -> None:
    assert gap_closure(psnr, vanilla, vanilla + gap) is None


def test_no_closure_of_infinite_scores() -> None:
    assert gap_closure(math.inf, 20, 30) is None
    assert gap_closure(25, 20, math.inf) is None


@given(st.lists(decibels, min_size=1, max_size=6))
def test_spread(values: list[float]) -> None:
    found = spread(values)
    assert found["mean"] == pytest.approx(statistics.fmean(values))
    if len(values) == 1:
        assert found["std"] is None
    else:
        assert found["std"] == pytest.approx(statistics.stdev(values))
    # one seed without a value: the mean of the others would be of other seeds than theirs
    assert spread([*values, None]) == {"mean": None, "std": None}


def cell(method: str, psnr: float, seed: int | None, views: Any, **extra: Any) -> dict[str, Any]:
    mean = {"psnr": psnr, "ssim": psnr / 100}
    source = {"psnr": 40 - psnr, "ssim": 0.5}
    scores = {"target": {"mean": mean}, "source": {"mean": source}}
    content = {"method": method, "seed": seed, "views": views, "steps": 5, "seconds": 2.0}
    return {**content, "folder": None, "scores": scores, **extra}


@pytest.fixture
def results() -> dict[str, Any]:
    """Two seeds; `a` is best at equal steps, `b` at equal time."""
    both, steps, time = list(VIEWS), ["equal-steps"], ["equal-time"]
    cells = [cell("input", 18, None, both, steps=0, seconds=0.0)]
    for seed, shift in ((3, 0.0), (4, 1.0)):
        cells += [
            cell("vanilla", 20 + shift, seed, steps),
            cell("vanilla", 21 + shift, seed, time, steps=9, seconds=None),
            cell("oracle", 24 + shift, seed, both),
            cell("a", 23, seed, steps),
            cell("a", 21, seed, time, seconds=4.0 + seed),
            cell("b", 22, seed, both),
        ]
    return {
        "name": "by hand",
        "protocol": "rgb",
        "methods": ["input", "a", "b", "oracle", "vanilla"],
        "from_fresh_weights": ["b"],
        "seeds": [3, 4],
        "images": {"target": 7, "source": 2},
        "views": {"equal-steps": {"steps": 5}, "equal-time": {"seconds": 100.0}},
        "cells": cells,
    }


def rows(results: dict[str, Any], view: str) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in summarise(results) if row["view"] == view}


def test_summary(results: dict[str, Any]) -> None:
    steps, time = rows(results, "equal-steps"), rows(results, "equal-time")
    # 23 between 20 and 24, and between 21 and 25
    assert steps["a"]["closure"]["by_seed"] == [pytest.approx(75), pytest.approx(50)]
    assert steps["a"]["closure"]["mean"] == pytest.approx(62.5)
    assert steps["a"]["closure"]["std"] == pytest.approx(statistics.stdev([75, 50]))
    assert time["a"]["closure"]["by_seed"] == [pytest.approx(0), pytest.approx(-100 / 3)]
    assert steps["vanilla"]["closure"]["mean"] == time["vanilla"]["closure"]["mean"] == 0
    assert time["oracle"]["closure"]["mean"] == pytest.approx(100)
    assert steps["input"]["closure"]["by_seed"] == [pytest.approx(-50), pytest.approx(-75)]
    assert (steps["input"]["psnr"], steps["input"]["steps"]) == ({"mean": 18, "std": None}, 0)
    # the source loses what the target gains here
    assert steps["a"]["source_psnr_change"]["by_seed"] == [-3, -2]
    assert steps["vanilla"]["source_psnr_change"]["mean"] == 0
    assert (steps["a"]["seconds"], time["a"]["seconds"], time["a"]["steps"]) == (2, 7.5, 5)
    assert time["vanilla"]["seconds"] is None
    order = [row["method"] for row in summarise(results)]
    assert order == ["oracle", "b", "vanilla", "a", "input"] * 2


def test_without_an_oracle(results: dict[str, Any]) -> None:
    results["methods"].remove("oracle")
    for view in VIEWS:
        assert all(row["closure"]["mean"] is None for row in rows(results, view).values())
    # then by PSNR
    assert [row["method"] for row in summarise(results)][:4] == ["b", "vanilla", "a", "input"]
    results["summary"] = summarise(results)
    assert any("'oracle' is not among the methods" in line for line in notes(results))
    assert "| b | 22.00 ± 0.00 | 0.2200 ± 0.0000 | – |" in markdown(results)


def test_a_gap_too_small_is_told(results: dict[str, Any]) -> None:
    for found in results["cells"]:
        if found["method"] == "oracle" and found["seed"] == 4:
            found["scores"]["target"]["mean"]["psnr"] = 22.04
    found = rows(results, "equal-time")["a"]["closure"]
    assert found == {"mean": None, "std": None, "by_seed": [pytest.approx(0), None]}
    assert gaps(results, "equal-time") == {3: 3, 4: pytest.approx(0.04)}
    results["summary"] = summarise(results)
    told = [line for line in notes(results) if "undefined" in line]
    assert told == [
        "Gap closure at equal wall time is undefined: oracle minus vanilla is 0.040 dB for seed 4, "
        "below 0.05 dB."
    ]


def test_texts(results: dict[str, Any]) -> None:
    results["summary"] = summarise(results)
    page = markdown(results)
    assert "## Equal steps (5 steps): 7 images, 2 seeds" in page
    assert "## Equal wall time (2 min): 7 images, 2 seeds" in page
    # never "-0.00"
    assert (
        "| vanilla | 20.50 ± 0.71 | 0.2050 ± 0.0071 | 0.0 ± 0.0 | +0.00 ± 0.00 | 2.0 | 5 |" in page
    )
    assert "| input | 18.00 | 0.1800 | -62.5 ± 17.7 | +2.50 ± 0.71 | 0.0 | 0 |" in page
    header, first, *_ = csv_text(results).splitlines()
    values = dict(zip(header.split(","), first.split(","), strict=True))
    assert (values["method"], values["protocol"], values["images"]) == ("oracle", "rgb", "7")
    assert float(values["closure_percent_mean"]) == pytest.approx(100)
    assert [table.row_count for table in tables(results)] == [5, 5]
    assert "From fresh weights, with a network of their own: b." in page
    # a table that is not of one protocol's figures would be of none
    for line in page.splitlines():
        if line.startswith("| method"):
            assert line.count("[rgb]") == 4
