"""Which of two sets of images show the same: candidates by their hashes and points, then a
comparison of the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noiseda.data.checking.features import Fingerprint, whole_hash

Flip = tuple[slice, slice]
"""What an H×W image is indexed with to be flipped."""
UNFLIPPED: Flip = (slice(None), slice(None))
FLIPS: dict[str, Flip] = {
    "left to right": (slice(None), slice(None, None, -1)),
    "upside down": (slice(None, None, -1), slice(None)),
    "both ways": (slice(None, None, -1), slice(None, None, -1)),
}

# bits that two hashes of the whole may differ by
_HASH_BITS = 12
# codes are candidates if they share one of these groups of bits, lowest frequencies first
_GROUPS = ((0, 16), (4, 20), (8, 24), (12, 28))
# bits of 63 that codes of the same place may differ by
_CODE_BITS = 11
# matching points that agree in scale and place, at least
AGREE = 4
# matches of one scale that vote, at most
_VOTERS = 400
# candidates of a group of bits that are compared at a time
_CHUNK = 4_000_000
_SET_BITS = np.array([bin(number).count("1") for number in range(1 << 16)], np.uint8)


def differing(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Number of bits by which uint64 differ."""
    parts = np.ascontiguousarray(first ^ second).view(np.uint16)
    return _SET_BITS[parts].reshape(*np.shape(first ^ second), 4).sum(axis=-1, dtype=np.uint8)


def alike_as_a_whole(
    first: Sequence[Fingerprint], second: Sequence[Fingerprint], flip: Flip = UNFLIPPED
) -> list[tuple[int, int]]:
    """Index pairs of images whose hash is nearly the same, the first of each pair flipped."""
    wholes = [
        image.whole if flip == UNFLIPPED else whole_hash(image.thumbnail[flip]) for image in first
    ]
    ours = np.array(wholes, np.uint64)
    theirs = np.array([image.whole for image in second], np.uint64)
    found = []
    for index, one in enumerate(ours):
        near = np.flatnonzero(differing(np.broadcast_to(one, theirs.shape), theirs) <= _HASH_BITS)
        found += [(index, int(other)) for other in near]
    return found


def sharing_points(
    first: Sequence[Fingerprint], second: Sequence[Fingerprint]
) -> dict[tuple[int, int], np.ndarray]:
    """Index pairs of images of which several points match and lie alike, each with all points
    that match: N×2×3, place and scale in the one and in the other (see `Fingerprint.points`)."""
    owner = [np.repeat(np.arange(len(s)), [len(f.codes) for f in s]) for s in (first, second)]
    codes = [
        np.concatenate([f.codes for f in s] or [[]]).astype(np.uint64) for s in (first, second)
    ]
    points = [np.concatenate([f.points for f in s] or [np.empty((0, 3))]) for s in (first, second)]
    pairs = [np.empty((0, 2), np.int64)]
    for group in _GROUPS:
        pairs += _same_bits(codes[0], codes[1], *group)
    matches = np.unique(np.concatenate(pairs), axis=0)
    if not len(matches):
        return {}
    number = owner[0][matches[:, 0]] * len(second) + owner[1][matches[:, 1]]
    places = np.stack([points[0][matches[:, 0]], points[1][matches[:, 1]]], axis=1)
    promising = np.isin(number, _agreeing(number, places))
    number, places = number[promising], places[promising]
    order = np.argsort(number, kind="stable")
    number, places = number[order], places[order]
    if not len(number):
        return {}
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    parts = np.split(places, starts[1:])
    return {
        divmod(int(number[start]), len(second)): part
        for start, part in zip(starts, parts, strict=True)
    }


def _agreeing(number: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Which of these pairs of images (`number`, one for each match) have enough matches with
    nearly the same scale and shift; all at once, by counting in a grid."""
    exponent, shift, slack = _shifts(places)
    found = []
    # four grids, so that no cluster is cut by the lines of all
    for row in (0.0, 0.5):
        for column in (0.0, 0.5):
            cell = np.floor(shift / (2 * slack[:, None]) + (row, column)).astype(np.int64)
            keys = np.column_stack([number, exponent, cell])
            keys = keys[np.lexsort(keys.T)]
            starts = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(axis=1)])
            counts = np.diff(np.r_[starts, len(keys)])
            found.append(keys[starts[counts >= AGREE], 0])
    return np.unique(np.concatenate(found))


def _shifts(places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each match: the scale from one image to the other as a power of the grid of scales, the
    shift that this means, N×2, and how much the shift may be wrong, in pixels."""
    ours, theirs = places[:, 0], places[:, 1]
    exponent = np.round(3 * np.log2(ours[:, 2] / theirs[:, 2])).astype(np.int64)
    scale = 2.0 ** (exponent / 3)
    shift = theirs[:, :2] - scale[:, None] * ours[:, :2]
    # the points' own coarseness, and what half a step of the scales moves points nearby
    return exponent, shift, 4 / theirs[:, 2] + 8 * scale


def _same_bits(ours: np.ndarray, theirs: np.ndarray, low: int, high: int) -> list[np.ndarray]:
    """Pairs of codes, N×2 indices, equal in the bits from `low` to `high` and similar in all."""
    shift, mask = np.uint64(64 - high), np.uint64((1 << (high - low)) - 1)
    keys = [(codes >> shift) & mask for codes in (ours, theirs)]
    order = np.argsort(keys[1], kind="stable")
    listed = keys[1][order]
    first = np.searchsorted(listed, keys[0], "left")
    count = np.searchsorted(listed, keys[0], "right") - first
    found = []
    ends = np.cumsum(count)
    start = 0
    while start < len(ours):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK, "right")))
        counts = count[start:stop]
        mine = np.repeat(np.arange(start, stop), counts)
        offset = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
        other = order[first[mine] + offset]
        close = differing(ours[mine], theirs[other]) <= _CODE_BITS
        found.append(np.column_stack([mine[close], other[close]]))
        start = stop
    return found


def placement(places: np.ndarray) -> tuple[float, float, float, int]:
    """How one image lies in the other: x' = s·x + a and y' = s·y + b for most of the points.

    Args:
        places: N×2×3, as of `sharing_points`.

    Returns:
        s, a, b and how many different points agree with it.
    """
    exponent, shift, slack = _shifts(places)
    best = (1.0, 0.0, 0.0, 0)
    for power in np.unique(exponent):
        chosen = np.flatnonzero(exponent == power)[:_VOTERS]
        near = np.abs(shift[chosen, None] - shift[None, chosen]).max(axis=-1) <= slack[chosen, None]
        kept = places[chosen[near[int(near.sum(axis=1).argmax())]]]
        # one corner seen at several scales is one point
        distinct = len(np.unique(np.round(kept[:, 0, :2] / 4), axis=0))
        if distinct > best[3]:
            best = (*_refined(kept, 2.0 ** (power / 3)), distinct)
    return best


def _refined(places: np.ndarray, scale: float) -> tuple[float, float, float]:
    """s, a and b of matches that agree coarsely, those left out that then turn out to lie off."""
    ours, theirs = places[:, 0, :2], places[:, 1, :2]
    fit = _fit(ours, theirs, scale)
    for _ in range(5):
        off = np.abs(fit[0] * ours + fit[1:] - theirs).max(axis=1)
        near = off <= max(2 * float(np.median(off)), 1.0)
        fit = _fit(ours[near], theirs[near], scale)
    return fit


def _fit(ours: np.ndarray, theirs: np.ndarray, scale: float) -> tuple[float, float, float]:
    """Least squares of s, a and b; of s only if the points are far enough apart to tell it."""
    mean, other = ours.mean(axis=0), theirs.mean(axis=0)
    spread = ((ours - mean) ** 2).sum()
    s = float(((ours - mean) * (theirs - other)).sum() / spread) if spread > 0 else scale
    if not 0.8 * scale < s < 1.25 * scale:
        s = scale
    a, b = other - s * mean
    return s, float(a), float(b)
