"""Blocks of SIDD (Abdelhamed et al. 2018): a .mat file with an array, images×blocks×H×W×3 uint8.

SIDD's validation and benchmark files are of this kind, 40×32×256×256×3, RGB in that order. What is
written has the same shape, type and order, so that it can be submitted and read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from noiseda.data.sidd_blocks import read_blocks, write_blocks
from noiseda.errors import DataError
from noiseda.evaluation.folders import Progress, Scores, evaluate
from noiseda.evaluation.protocols import Metric
from noiseda.images.library import shown

if TYPE_CHECKING:
    import numpy as np

SUFFIX = ".mat"


def is_blocks(path: Path | None) -> bool:
    """Whether a path names a .mat file, by its suffix."""
    return path is not None and path.suffix.lower() == SUFFIX


def evaluate_blocks(
    blocks: Path,
    clean: Path | None,
    protocol_name: str = "sidd",
    progress: Progress | None = None,
    extra: Mapping[str, Metric] | None = None,
    *,
    restore: Callable[[np.ndarray], np.ndarray] | None = None,
    output: Path | None = None,
) -> Scores | None:
    """Restore the blocks of a .mat file, write them, score them; each of the three if wanted.

    What is scored is what is written: 8-bit values, clamped and rounded.

    Args:
        blocks: .mat file of degraded blocks, or of restored ones if `restore` is None.
        clean: .mat file of clean blocks; None to score nothing.
        protocol_name, progress, extra: see `evaluate`.
        restore: from H×W×3 uint8 to the same.
        output: .mat file to write, replaced if it exists; None for none.

    Returns:
        Scores of the blocks, named `01/01` to `40/32`; None without `clean`.

    Raises:
        OptionError: unknown protocol.
        DataError: the two files do not hold blocks of the same number and size.
        NoiseDAError: the output cannot be written, or scipy is missing.
    """
    given = read_blocks(blocks)
    truth = None if clean is None else read_blocks(clean)
    if clean is not None and truth is not None and given.shape != truth.shape:
        a, b = ("×".join(map(str, array.shape)) for array in (given, truth))
        raise DataError(f"{shown(clean)}: holds blocks {b}, but {shown(blocks)} {a}")
    images, count = given.shape[:2]
    places = [(image, block) for image in range(images) for block in range(count)]

    def restored() -> Iterator[tuple[int, int]]:
        for place in places:
            if restore is not None:
                given[place] = restore(given[place])
            yield place

    scores = None
    if truth is None:
        for done, _ in enumerate(restored(), start=1):
            if progress is not None:
                progress(done, len(places))
    else:
        named = (
            (f"{place[0] + 1:02}/{place[1] + 1:02}", given[place], truth[place])
            for place in restored()
        )
        scores = evaluate(named, protocol_name, progress, len(places), extra)
    if output is not None:
        write_blocks(output, given)
    return scores
