"""Methods compared: the same start, the same samples, the same held-out images.

The measure is gap closure: 0 % is the vanilla network continued for as long, 100 % a network that
learns from the ground truth of the real photos.
"""

from __future__ import annotations

from noiseda.comparison.measure import VIEWS, gap_closure, summarise
from noiseda.comparison.methods import UNTRAINED, known
from noiseda.comparison.outline import outline
from noiseda.comparison.report import notes, tables, tables_text
from noiseda.comparison.run import Comparison

__all__ = [
    "UNTRAINED",
    "VIEWS",
    "Comparison",
    "gap_closure",
    "known",
    "notes",
    "outline",
    "summarise",
    "tables",
    "tables_text",
]
