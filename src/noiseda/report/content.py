"""What a report tells, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

Kind = Literal["better", "worse", "unsure"]


@dataclass(frozen=True)
class Verdict:
    """Whether the adapted model restores these photos better than the one it started from.

    Attributes:
        kind: the answer.
        sentence: the answer in plain words.
        confidence: in it, in [0, 1]; None if unknown.
        psnr_change: estimated PSNR of the adapted model minus that of the start, dB.
        interval: of that estimate, from low to high, dB.
    """

    kind: Kind
    sentence: str
    confidence: float | None = None
    psnr_change: float | None = None
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"verdict {self.kind!r} is none of {', '.join(get_args(Kind))}")
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence {self.confidence} is outside [0, 1]")


@dataclass(frozen=True)
class Photos:
    """The photos that were given: how many of each kind, and megapixels of the usable ones."""

    usable: int
    unreadable: int = 0
    duplicates: int = 0
    #: smallest, median, largest
    megapixels: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Noise:
    """The measured noise; colours in the order red, green, blue.

    Attributes:
        brightness: K knots in [0, 1].
        sigma: 3×K, standard deviation at the knots, in units of 1/255; NaN where unknown.
        horizontal, vertical: correlation with the pixel 1, 2, 3, … to the right, or below.
        colours: 3×3 correlation between the colours.
    """

    brightness: Sequence[float] | np.ndarray
    sigma: Sequence[Sequence[float]] | np.ndarray
    horizontal: Sequence[float] | np.ndarray
    vertical: Sequence[float] | np.ndarray
    colours: Sequence[Sequence[float]] | np.ndarray

    def __post_init__(self) -> None:
        knots = len(self.brightness)
        if np.shape(self.sigma) != (3, knots) or np.shape(self.colours) != (3, 3):
            raise ValueError(
                f"sigma {np.shape(self.sigma)} and colours {np.shape(self.colours)} must be "
                f"(3, {knots}) and (3, 3)"
            )
        if np.shape(self.horizontal) != np.shape(self.vertical):
            raise ValueError("correlations must be known at the same distances both ways")


@dataclass(frozen=True, eq=False)
class ShownPhoto:
    """One photo to look at: H×W×3 uint8 each, all of one size.

    Attributes:
        name: what people know it by; any text.
        photo: as it was.
        start: restored by the model that was adapted.
        adapted: restored by the adapted model.
        profile: the ICC profile that all three are in; None for sRGB.
    """

    name: str
    photo: np.ndarray
    start: np.ndarray
    adapted: np.ndarray
    profile: bytes | None = None

    def __post_init__(self) -> None:
        for picture in (self.photo, self.start, self.adapted):
            if picture.shape != self.photo.shape or picture.dtype != np.uint8:
                raise ValueError(f"{self.name}: pictures must be uint8 and of one size")


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page shows.

    Attributes:
        looked: sentences on what was found in the photos.
        noise: None if it was not measured.
        settings: name to value, as text.
        times: stage to seconds, in order.
        history: (seconds since the start, name to number) from time to time while adapting.
        shown: photos to compare. Taken once and one by one, so a generator that restores them
            as they are asked for needs the memory of one.
    """

    title: str
    verdict: Verdict
    photos: Photos
    looked: Sequence[str] = ()
    noise: Noise | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    history: Sequence[tuple[float, Mapping[str, float]]] = ()
    shown: Iterable[ShownPhoto] = ()
