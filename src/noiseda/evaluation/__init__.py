"""Scores of restored images against their clean counterparts, by named protocols.

There is no score without a clean counterpart: an image that lacks one is an error, never compared
with its degraded input instead.
"""

from __future__ import annotations

from noiseda.data.sidd_blocks import read_blocks, write_blocks
from noiseda.evaluation.folders import (
    Progress,
    Scores,
    check_sizes,
    evaluate,
    evaluate_folders,
    pair,
)
from noiseda.evaluation.metrics import psnr, ssim, to_8_bit, to_luma
from noiseda.evaluation.perceptual import lpips
from noiseda.evaluation.protocols import PROTOCOLS, TASK_PROTOCOLS, Metric, Protocol, protocol
from noiseda.evaluation.report import table, to_json, write_csv, write_json
from noiseda.evaluation.sidd import evaluate_blocks, is_blocks

__all__ = [
    "PROTOCOLS",
    "TASK_PROTOCOLS",
    "Metric",
    "Progress",
    "Protocol",
    "Scores",
    "check_sizes",
    "evaluate",
    "evaluate_blocks",
    "evaluate_folders",
    "is_blocks",
    "lpips",
    "pair",
    "protocol",
    "psnr",
    "read_blocks",
    "ssim",
    "table",
    "to_8_bit",
    "to_json",
    "to_luma",
    "write_blocks",
    "write_csv",
    "write_json",
]
