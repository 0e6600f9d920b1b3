"""Training data: public sets and their layouts, plain folders decoded once or cut into crops
beforehand, and samples cropped at random."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noiseda.data.crops import is_prepared
    from noiseda.data.folders import AbsolutePath, Selection, select
    from noiseda.data.opening import Chosen, choose, open_chosen, truth_of
    from noiseda.data.samples import BatchNumbers, Sample, TrainingSamples, loader
    from noiseda.data.store import Store, default_cache, open_store
    from noiseda.data.windows import Window, continue_store, cut, window_store, write_store

# loaded at first use: samples and windows need torch, which takes seconds to import, and the
# processes that decode images do without it
_LAZY = {
    **dict.fromkeys(["AbsolutePath", "Selection", "select"], "folders"),
    "is_prepared": "crops",
    **dict.fromkeys(["Chosen", "choose", "open_chosen", "truth_of"], "opening"),
    **dict.fromkeys(["BatchNumbers", "Sample", "TrainingSamples", "loader"], "samples"),
    **dict.fromkeys(["Store", "default_cache", "open_store"], "store"),
    **dict.fromkeys(["Window", "continue_store", "cut", "window_store", "write_store"], "windows"),
}

__all__ = [
    "AbsolutePath",
    "BatchNumbers",
    "Chosen",
    "Sample",
    "Selection",
    "Store",
    "TrainingSamples",
    "Window",
    "choose",
    "continue_store",
    "cut",
    "default_cache",
    "is_prepared",
    "loader",
    "open_chosen",
    "open_store",
    "select",
    "truth_of",
    "window_store",
    "write_store",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'noiseda.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"noiseda.data.{_LAZY[name]}"), name)
