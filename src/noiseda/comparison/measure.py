"""Gap closure and the other figures of a comparison, from its results alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from noiseda.comparison.methods import ORACLE, VANILLA

VIEWS = {"equal-steps": "equal steps", "equal-time": "equal wall time"}
LEAST_GAP = 0.05
"""dB; the closure of a smaller gap would be noise divided by noise."""


def gap_closure(psnr: float, vanilla: float, oracle: float) -> float | None:
    """How much of the gap between the vanilla network and the oracle a method closes, in percent:
    100·(psnr − vanilla) / (oracle − vanilla); None if the gap is below `LEAST_GAP` dB.

    Args:
        psnr, vanilla, oracle: mean PSNR over the same held-out images in dB, of networks that
            were continued from the same start.
    """
    gap = oracle - vanilla
    if not (gap >= LEAST_GAP and math.isfinite(gap) and math.isfinite(psnr)):
        return None
    return 100 * (psnr - vanilla) / gap


def spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and sample standard deviation over the seeds; no mean if a value is undefined, no
    deviation of a single one."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return {"mean": None, "std": None}
    return {
        "mean": statistics.fmean(known),
        "std": statistics.stdev(known) if len(known) > 1 else None,
    }


def summarise(results: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each view and method, in the order of tables: by gap closure in the last view,
    then by PSNR there.

    Args:
        results: with `protocol`, `seeds`, `methods`, `views` and `cells`, as `Comparison.run` gives
            them; a method may lack some of the seeds.
    """
    views = list(results["views"])
    rows = {
        (view, method): _row(results, view, method)
        for view in views
        for method in results["methods"]
    }

    def rank(method: str) -> tuple[float, float]:
        row = rows[views[-1], method]
        values = (row["closure"]["mean"], row["psnr"]["mean"])
        first, second = (-math.inf if value is None else value for value in values)
        return first, second

    order = sorted(results["methods"], key=rank, reverse=True)
    return [rows[view, method] for view in views for method in order]


def gaps(results: dict[str, Any], view: str) -> dict[int, float | None]:
    """PSNR of the oracle minus that of vanilla, in dB, by seed; None where it is not known."""
    return {
        seed: _minus(
            _psnr(results, view, ORACLE, seed, "target"),
            _psnr(results, view, VANILLA, seed, "target"),
        )
        for seed in results["seeds"]
    }


def _row(results: dict[str, Any], view: str, method: str) -> dict[str, Any]:
    found = {seed: _cell(results, view, method, seed) for seed in results["seeds"]}
    known = {seed: cell for seed, cell in found.items() if cell is not None}
    seeds, cells = list(known), list(known.values())
    target = [[_mean(cell, "target", key) for cell in cells] for key in ("psnr", "ssim")]
    # one value, not as many equal ones as there are seeds, without training
    psnr, ssim = (spread(values[:1] if cells[0]["seed"] is None else values) for values in target)
    closures: list[float | None] = []
    changes: list[float | None] = []
    for seed, value in zip(seeds, target[0], strict=True):
        vanilla, oracle = (_psnr(results, view, name, seed, "target") for name in (VANILLA, ORACLE))
        closures.append(
            None
            if value is None or vanilla is None or oracle is None
            else gap_closure(value, vanilla, oracle)
        )
        source = [_psnr(results, view, name, seed, "source") for name in (method, VANILLA)]
        changes.append(_minus(*source))
    return {
        "view": view,
        "method": method,
        "protocol": results["protocol"],
        "images": results["images"]["target"],
        "source_images": results["images"]["source"],
        "seeds": len(seeds),
        "psnr": psnr,
        "ssim": ssim,
        "closure": {**spread(closures), "by_seed": closures},
        "source_psnr_change": {**spread(changes), "by_seed": changes},
        "seconds": spread([cell["seconds"] for cell in cells])["mean"],
        "steps": cells[0]["steps"],
    }


def _cell(results: dict[str, Any], view: str, method: str, seed: int) -> dict[str, Any] | None:
    """The result of a method; one without training is the same for all seeds (None)."""
    return next(
        (
            cell
            for cell in results["cells"]
            if cell["method"] == method and cell["seed"] in (seed, None) and view in cell["views"]
        ),
        None,
    )


def _mean(cell: dict[str, Any], domain: str, metric: str) -> float | None:
    scores = cell["scores"][domain]
    return scores["mean"][metric] if scores else None


def _psnr(results: dict[str, Any], view: str, method: str, seed: int, domain: str) -> float | None:
    cell = _cell(results, view, method, seed) if method in results["methods"] else None
    return _mean(cell, domain, "psnr") if cell else None


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
