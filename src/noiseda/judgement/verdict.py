"""Is the adapted network better than the one it started from? And how sure is that?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from noiseda.judgement.risk import Risk

_RESAMPLES = 4000
# at this probability a verdict is given; below it there is none
SURE = 0.9


@dataclass(frozen=True)
class Verdict:
    """What was decided.

    Attributes:
        kind: "better", "worse" or "unsure".
        probability: that the adapted network's error is lower, as far as chance goes.
        change: estimated change of PSNR in dB; None if the noise is too weak to tell an error, or
            there was no photo.
        interval: of `change`, 10 % and 90 % points; None with it.
        photos, cells: how many photos and pieces of photos it rests on.
    """

    kind: Literal["better", "worse", "unsure"]
    probability: float
    change: float | None
    interval: tuple[float, float] | None
    photos: int
    cells: int

    @property
    def sentence(self) -> str:
        """For people."""
        if not self.photos:
            return "No photo is large enough to judge on."
        if self.kind == "unsure":
            return "No difference that could be told from chance."
        sure = math.floor(100 * max(self.probability, 1 - self.probability))
        amount = "" if self.change is None else f", by about {abs(self.change):.1f} dB"
        return f"The adapted model is {self.kind}{amount} ({sure} % sure)."


def judge(risks: Sequence[Risk], seed: int = 0) -> Verdict:
    """Decide, from the risks of held-out photos.

    Chance is estimated by the bootstrap: photos are drawn with replacement, and cells within them,
    so that both few photos and few cells make it less sure.

    Args:
        risks: one a photo; without any, nothing can be told.
        seed: of the bootstrap.
    """
    if not risks:
        return Verdict("unsure", 0.5, None, None, 0, 0)
    random = np.random.default_rng(seed)
    levels, changes = np.transpose([_means(_drawn(risks, random)) for _ in range(_RESAMPLES)])
    # networks that do the same are neither better nor worse
    probability = float((changes < 0).mean() + (changes == 0).mean() / 2)
    cells = sum(len(risk.change) for risk in risks)
    # resampling a few cells that agree finds no doubt, yet chance alone makes n agree in 2^-n
    probability = min(max(probability, 0.5**cells), 1 - 0.5**cells)
    kind = "better" if probability >= SURE else "worse" if probability <= 1 - SURE else "unsure"
    level, change = _means(risks)
    # of a mean error below what the estimate can resolve there is no logarithm
    known = min(level, level + change) > 0
    interval = None
    if known:
        gains = _decibel(np.maximum(levels, 0.1 * level), changes)
        low, high = np.quantile(gains, (0.1, 0.9))
        interval = (float(low), float(high))
    gain = float(_decibel(np.array(level), np.array(change))) if known else None
    return Verdict(kind, probability, gain, interval, len(risks), cells)


def _drawn(risks: Sequence[Risk], random: np.random.Generator) -> list[Risk]:
    """As many photos, and of each as many cells, drawn with replacement."""
    drawn = []
    for index in random.integers(len(risks), size=len(risks)):
        risk = risks[index]
        cells = random.integers(len(risk.change), size=len(risk.change))
        drawn.append(Risk(risk.start[cells], risk.change[cells]))
    return drawn


def _means(risks: Sequence[Risk]) -> tuple[float, float]:
    """Mean error of the start and its change, each photo counting the same."""
    return (
        float(np.mean([risk.start.mean() for risk in risks])),
        float(np.mean([risk.change.mean() for risk in risks])),
    )


def _decibel(level: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Rise of the PSNR if the mean squared error `level` changes by `change`."""
    return -10 * np.log10(np.maximum(1 + change / level, 1e-3))
