"""What the tests of `noiseda compare` share."""

from __future__ import annotations

import copy
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.comparison.recipes import write_recipe

METHODS = ("--methods", "input,start,noise-space,oracle")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """Results without what depends on the clock."""
    found = copy.deepcopy(results)
    found.pop("seconds_per_step")
    for part in (*found["cells"], *found["summary"], found["views"]["equal-time"]):
        part.pop("seconds")
        if "pretraining" in part:
            part["pretraining"].pop("seconds")
    return found


def mean_psnr(scores: dict[str, Any]) -> float:
    return statistics.fmean(image["psnr"] for image in scores["images"])
