"""What the tests of `noiseda compare` share."""

from __future__ import annotations

import copy
import statistics
from typing import Any

METHODS = ("--methods", "input,start,noise-space,oracle")


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """Results without what depends on the clock."""
    found = copy.deepcopy(results)
    found.pop("plan")
    for part in (*found["cells"], *found["summary"], found["views"]["equal-time"]):
        part.pop("seconds")
        if "pretraining" in part:
            part["pretraining"].pop("seconds")
    return found


def mean_psnr(scores: dict[str, Any]) -> float:
    return statistics.fmean(image["psnr"] for image in scores["images"])
