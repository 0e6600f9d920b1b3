"""Scores of restored images against their clean counterparts, by named protocols.

There is no score without a clean counterpart: an image that lacks one is an error, never compared
with its degraded input instead.
"""

from __future__ import annotations

from noiseda.evaluation.folders import (
    Progress,
    Scores,
    check_sizes,
    evaluate,
    evaluate_folders,
    pair,
)
from noiseda.evaluation.metrics import psnr, ssim, to_8_bit
from noiseda.evaluation.protocols import PROTOCOLS, Metric, Protocol, protocol
from noiseda.evaluation.report import table, to_json, write_csv, write_json

__all__ = [
    "PROTOCOLS",
    "Metric",
    "Progress",
    "Protocol",
    "Scores",
    "check_sizes",
    "evaluate",
    "evaluate_folders",
    "pair",
    "protocol",
    "psnr",
    "ssim",
    "table",
    "to_8_bit",
    "to_json",
    "write_csv",
    "write_json",
]
