"""Restore images with a trained network: arrays, files and folders, any size, bounded memory."""

from __future__ import annotations

from noiseda.restoration.files import Job, Outcome, measure, plan_jobs, restore_files
from noiseda.restoration.restorer import Restorer, load
from noiseda.restoration.tiling import Tile, Tiling

__all__ = [
    "Job",
    "Outcome",
    "Restorer",
    "Tile",
    "Tiling",
    "load",
    "measure",
    "plan_jobs",
    "restore_files",
]
