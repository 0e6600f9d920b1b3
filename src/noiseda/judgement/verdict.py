"""Is the adapted network better than the one it started from? And how sure is that?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from noiseda.judgement.risk import Risk

_RESAMPLES = 4000
# of the median error, which a photo's is taken to have at least
_LEAST = 0.25
# dB; of a smaller change the sign is not to be trusted (studies/verdict)
_TELLING = 0.1
# at this probability a verdict is given; below it there is none
SURE = 0.9


@dataclass(frozen=True)
class Verdict:
    """What was decided.

    Attributes:
        kind: "better", "worse" or "unsure".
        probability: that the adapted network's error is lower, as far as chance goes.
        change: estimated change of PSNR in dB, roughly, because the error it is relative to is an
            estimate too; None if there was no photo.
        interval: of `change`, 10 % and 90 % points; None with it.
        photos, cells: how many photos and pieces of photos it rests on.
        learned: how many of the photos adaptation saw.
    """

    kind: Literal["better", "worse", "unsure"]
    probability: float
    change: float | None
    interval: tuple[float, float] | None
    photos: int
    cells: int
    learned: int = 0

    @property
    def worth_keeping(self) -> bool:
        """Whether the adapted network should take the start's place: it is better, or it is
        probably better by more than a trifle."""
        if self.kind == "unsure":
            return self.probability > 0.5 and (self.change or 0.0) > _TELLING
        return self.kind == "better"

    @property
    def percent_sure(self) -> int:
        """How sure it is, as far as chance goes; 99 at most, as the bootstrap does not know how
        wrong the measured noise may be."""
        return min(math.floor(100 * max(self.probability, 1 - self.probability)), 99)

    @property
    def sentence(self) -> str:
        """For people."""
        if not self.photos:
            return "No photo is large enough to judge on, and neither too dark nor too bright."
        sure = self.percent_sure
        amount = f"by about {abs(self.change or 0):.1f} dB"
        if self.kind != "unsure":
            return f"The adapted model is {self.kind}, {amount} ({sure} % sure)."
        if self.worth_keeping:
            return (
                f"The adapted model is probably better, {amount}; it may be chance ({sure} % sure)."
            )
        return "No difference that could be told from chance."


def judge(risks: Sequence[Risk], seed: int = 0) -> Verdict:
    """Decide, from the risks of photos.

    What counts is the mean over the photos of each one's change of PSNR, so that a photo counts the
    same whether it is noisy or not. Chance is estimated by the bootstrap: photos
    are drawn with replacement, and cells within them, so that both few photos and few cells make
    it less sure.

    Args:
        risks: one a photo; without any, nothing can be told.
        seed: of the bootstrap.
    """
    if not risks:
        return Verdict("unsure", 0.5, None, None, 0, 0)
    random = np.random.default_rng(seed)
    errors = np.array([risk.error for risk in risks])
    # a photo nearly without noise has no error to speak of; its change would count endlessly
    errors = np.maximum(errors, max(_LEAST * float(np.median(errors)), 1e-9))
    shares = [risk.change / error for risk, error in zip(risks, errors, strict=True)]
    gains = np.array([_resampled(shares, random) for _ in range(_RESAMPLES)])
    # networks that do the same are neither better nor worse
    probability = float((gains > 0).mean() + (gains == 0).mean() / 2)
    cells = sum(map(len, shares))
    # resampling a few cells that agree finds no doubt, yet chance alone makes n agree in 2^-n
    probability = min(max(probability, 0.5**cells), 1 - 0.5**cells)
    kind = "better" if probability >= SURE else "worse" if probability <= 1 - SURE else "unsure"
    low, high = np.quantile(gains, (0.1, 0.9))
    gain = np.mean([_gain(share.mean()) for share in shares])
    return Verdict(kind, probability, float(gain), (float(low), float(high)), len(risks), cells)


def _resampled(shares: Sequence[np.ndarray], random: np.random.Generator) -> float:
    """The mean gain of as many photos, and of each as many cells, drawn with replacement."""
    drawn = (shares[index] for index in random.integers(len(shares), size=len(shares)))
    cells = (share[random.integers(len(share), size=len(share))] for share in drawn)
    return float(np.mean([_gain(share.mean()) for share in cells]))


def _gain(share: float | np.floating) -> float:
    """Rise of the PSNR in dB if the error changes by this share of itself; 10 dB at most, as it is
    only estimated that there is any error left."""
    return -10 * math.log10(max(1 + float(share), 0.1))
