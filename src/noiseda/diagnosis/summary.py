"""Means and standard errors of what was measured, as plain values for JSON.

A curve has, for each noise level, `mean` and `standard_error` over the samples, and under
`training` one value of both: over the levels with their shares of the training.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from noiseda.diagnosis.conditions import QUALITIES, REPLACEMENTS, Errors
from noiseda.diagnosis.gradients import Gradients
from noiseda.diagnosis.levels import Levels

Curve = dict[str, Any]
Statistics = dict[str, float | None]


def statistics(values: Tensor) -> Statistics:
    """Mean and standard error of those of N values that are defined, and their count; None where
    there are none, and no standard error of a single one."""
    values = values[values.isfinite()]
    return {
        "count": len(values),
        "mean": float(values.mean()) if len(values) else None,
        "standard_error": float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else None,
    }


def curve(values: Tensor) -> Curve:
    """Of L+1 rows, the last of them for the whole training."""
    found = [statistics(row) for row in values]
    levels = found[:-1]
    return {
        "mean": [level["mean"] for level in levels],
        "standard_error": [level["standard_error"] for level in levels],
        "training": found[-1],
    }


def with_training(values: Tensor, levels: Levels) -> Tensor:
    """L×N values with a last row for their mean over the training."""
    return torch.cat([values, (levels.shares[:, None] * values).sum(0, keepdim=True)])


def relative(values: Tensor, reference: Tensor, levels: Levels) -> Curve:
    """By how much L×N errors exceed others of the same samples, relative to those' mean."""
    values, reference = with_training(values, levels), with_training(reference, levels)
    return curve((values - reference) / reference.mean(1, keepdim=True))


def condition_tables(errors: Errors, levels: Levels) -> dict[str, Any]:
    """`errors` by slots and kind of image; `change`, of the same relative to restored images; and
    `use`, relative changes when one domain's image is replaced."""
    restored = errors["every"]["restored"]
    tables: dict[str, Any] = {"errors": {}, "change": {}, "use": {}}
    for slots, found in errors.items():
        qualities = {kind: found[kind] for kind in QUALITIES if kind in found}
        if qualities:
            tables["errors"][slots] = {
                kind: curve(with_training(values, levels)) for kind, values in qualities.items()
            }
            tables["change"][slots] = {
                kind: relative(values, restored, levels)
                for kind, values in qualities.items()
                if kind != "restored"
            }
        if slots != "every":
            tables["use"][slots] = {
                kind: relative(found[kind], restored, levels) for kind in REPLACEMENTS
            }
    return tables


def gradient_tables(gradients: Gradients) -> dict[str, Any]:
    """Sizes, absolute and relative to the restoration loss's gradient, and directions."""
    restoration = gradients.restoration.mean()
    weights = gradients.weights
    levelled = {name: rows for name, rows in weights.items() if len(rows) > 1}
    constant = {name: rows for name, rows in weights.items() if len(rows) == 1}
    return {
        "images": {
            "restoration_norm": statistics(gradients.restoration[0]),
            "norm": {domain: curve(rows) for domain, rows in gradients.norms.items()},
            "relative_norm": {
                domain: curve(rows / restoration) for domain, rows in gradients.norms.items()
            },
            "low_band": {domain: curve(rows) for domain, rows in gradients.low.items()},
            "error_low_band": {
                domain: statistics(rows[0]) for domain, rows in gradients.errors_low.items()
            },
            "cosine_toward_clean": {
                domain: {band: curve(rows) for band, rows in found.items()}
                for domain, found in gradients.cosines.items()
            },
        },
        "weights": {
            "norm": {
                **{name: curve(rows) for name, rows in levelled.items()},
                **{name: statistics(rows[0]) for name, rows in constant.items()},
            },
            "relative_norm": {
                name: curve(rows / weights["restoration"].mean()) for name, rows in levelled.items()
            },
            "cosine": {
                name: curve(rows) if len(rows) > 1 else statistics(rows[0])
                for name, rows in gradients.weights_cosines.items()
            },
        },
    }
