"""Training data from plain folders: which images, decoded once, cropped at random."""

from __future__ import annotations

from noiseda.data.folders import AbsolutePath, Selection, select
from noiseda.data.samples import BatchNumbers, Sample, TrainingSamples, loader
from noiseda.data.store import Store, default_cache, open_store
from noiseda.data.windows import Window, continue_store, cut, window_store, write_store

__all__ = [
    "AbsolutePath",
    "BatchNumbers",
    "Sample",
    "Selection",
    "Store",
    "TrainingSamples",
    "Window",
    "continue_store",
    "cut",
    "default_cache",
    "loader",
    "open_store",
    "select",
    "window_store",
    "write_store",
]
