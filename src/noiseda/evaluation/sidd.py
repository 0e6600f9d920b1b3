"""Blocks of SIDD (Abdelhamed et al. 2018): a .mat file with an array, images×blocks×H×W×3 uint8.

SIDD's validation and benchmark files are of this kind, 40×32×256×256×3, RGB in that order. What is
written has the same shape, type and order, so that it can be submitted and read back.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noiseda.errors import DataError, NoiseDAError
from noiseda.evaluation.folders import Progress, Scores, evaluate
from noiseda.evaluation.protocols import Metric
from noiseda.files import write_whole
from noiseda.images.library import shown

if TYPE_CHECKING:
    import numpy as np

SUFFIX = ".mat"
VARIABLE = "Idenoised"
"""The variable that is written, which the usual evaluation script in MATLAB reads."""


def is_blocks(path: Path | None) -> bool:
    """Whether a path names a .mat file, by its suffix."""
    return path is not None and path.suffix.lower() == SUFFIX


def read_blocks(path: Path) -> np.ndarray:
    """The blocks in a .mat file, whatever its variable is called.

    Returns:
        images×blocks×H×W×3 uint8, RGB.

    Raises:
        DataError: no such file, damaged, or not exactly one such array in it.
        NoiseDAError: scipy is missing.
    """
    scipy_io = _scipy_io()
    if not path.is_file():
        raise DataError(f"{shown(path)}: no such file")
    try:
        content = scipy_io.loadmat(path)
    except NotImplementedError:
        raise DataError(
            f"{shown(path)}: a .mat of version 7.3; save it in MATLAB with save(…, '-v7')"
        ) from None
    except Exception as error:
        # damaged bytes make the reader stumble in any way
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise DataError(f"{shown(path)}: not a whole .mat file ({reason})") from None
    arrays = {name: value for name, value in content.items() if not name.startswith("__")}
    blocks = [value for value in arrays.values() if _is_block_array(value)]
    if len(blocks) != 1:
        held = ", ".join(f"{n} {getattr(v, 'shape', '')}" for n, v in arrays.items())
        raise DataError(
            f"{shown(path)}: expected one array images×blocks×height×width×3 of uint8, found "
            f"{held or 'nothing'}; give one of SIDD's …BlocksSrgb.mat"
        )
    return blocks[0]


def write_blocks(path: Path, blocks: np.ndarray) -> None:
    """Write blocks as the variable `Idenoised`; whole or not at all, replacing what was there.

    Args:
        path: the .mat file.
        blocks: as from `read_blocks`.

    Raises:
        NoiseDAError: the file cannot be written, or scipy is missing.
        ValueError: an array of another shape or type.
    """
    if not _is_block_array(blocks):
        raise ValueError(f"expected images×blocks×H×W×3 uint8, got {blocks.shape} {blocks.dtype}")
    content = io.BytesIO()
    _scipy_io().savemat(content, {VARIABLE: blocks}, do_compression=True)
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        raise NoiseDAError(
            f"cannot write {shown(path)}: {error.strerror or error}; check that its folder exists "
            "and is writable"
        ) from None


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


def _is_block_array(value: object) -> bool:
    import numpy as np

    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.uint8
        and value.ndim == 5
        and value.shape[-1] == 3
        and value.size > 0
    )


def _scipy_io() -> Any:
    try:
        import scipy.io
    except ImportError:
        raise NoiseDAError(
            "SIDD's .mat files need scipy; install it with: pip install 'noiseda[mat]'"
        ) from None
    return scipy.io
