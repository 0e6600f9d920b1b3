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
# at this probability a verdict is given; below it there is none
SURE = 0.9


@dataclass(frozen=True)
class Verdict:
    """What was decided.

    Attributes:
        kind: "better", "worse" or "unsure".
        probability: that the adapted network's error is lower, as far as chance goes.
        change: estimated change of PSNR in dB; roughly, because the error it is relative to is an
            estimate too.
        interval: of `change`, 10 % and 90 % points.
        photos, cells: how many photos and pieces of photos it rests on.
    """

    kind: Literal["better", "worse", "unsure"]
    probability: float
    change: float
    interval: tuple[float, float]
    photos: int
    cells: int

    @property
    def sentence(self) -> str:
        """For people."""
        sure = max(self.probability, 1 - self.probability)
        amount = "" if self.change is None else f", by about {abs(self.change):.1f} dB"
        ground = f"on {self.photos} photo{'s' * (self.photos > 1)} that adaptation did not see"
        if self.kind == "unsure":
            return f"No difference that could be told from chance {ground}."
        return (
            f"The adapted model is {self.kind}{amount} ({math.floor(100 * sure)} % sure, {ground})."
        )


def judge(risks: Sequence[Risk], seed: int = 0) -> Verdict:
    """Decide, from the risks of held-out photos.

    What counts is the mean over the photos of each one's change relative to its error, so that a
    photo counts the same whether it is noisy or not. Chance is estimated by the bootstrap: photos
    are drawn with replacement, and cells within them, so that both few photos and few cells make
    it less sure.

    Args:
        risks: one a photo, at least one.
        seed: of the bootstrap.
    """
    random = np.random.default_rng(seed)
    errors = np.array([risk.start.mean() for risk in risks])
    # a photo nearly without noise has no error to speak of; its change would count endlessly
    errors = np.maximum(errors, max(_LEAST * float(np.median(errors)), 1e-9))
    shares = [risk.change / error for risk, error in zip(risks, errors, strict=True)]
    means = np.array([_resampled(shares, random) for _ in range(_RESAMPLES)])
    probability = float((means < 0).mean())
    kind = "better" if probability >= SURE else "worse" if probability <= 1 - SURE else "unsure"
    low, high = np.quantile(_gain(means), (0.1, 0.9))
    gain = _gain(np.mean([share.mean() for share in shares]))
    cells = sum(len(share) for share in shares)
    interval = (float(low), float(high))
    return Verdict(kind, probability, float(gain), interval, len(risks), cells)


def _resampled(shares: Sequence[np.ndarray], random: np.random.Generator) -> float:
    """The mean over as many photos, and of each as many cells, drawn with replacement."""
    drawn = (shares[index] for index in random.integers(len(shares), size=len(shares)))
    return float(
        np.mean([share[random.integers(len(share), size=len(share))].mean() for share in drawn])
    )


def _gain(share: np.ndarray | np.floating) -> np.ndarray:
    """Rise of the PSNR in dB if the error changes by this share of itself."""
    return -10 * np.log10(np.maximum(1 + np.asarray(share), 0.01))
