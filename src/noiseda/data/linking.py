"""A set's pairs as plain folders, without copying an image."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from noiseda.data.layouts import Entry
from noiseda.errors import DataError


def link(
    entries: Sequence[Entry],
    out: Path,
    part: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Give images their names of the layout, in `out/degraded` and `out/clean` or, of a single
    side, in `out` itself, with the suffix of each file.

    They are hard links, which cost nothing and stay when the set is moved; symbolic links where
    the file system or another disk does not allow these. An interrupted call can be repeated.

    Returns:
        The folders.

    Raises:
        DataError: nothing to link, a name that holds something else, or no permission.
    """
    sides = [side for side in ("degraded", "clean") if part in (None, side)]
    present = [side for side in sides if any(getattr(entry, side) for entry in entries)]
    if not present:
        raise DataError(f"{out}: nothing to link: the source has no {part or 'images'}")
    folders = {side: out / side if len(present) == 2 else out for side in present}
    for done, entry in enumerate(entries, start=1):
        for side, folder in folders.items():
            source: Path | None = getattr(entry, side)
            if source is not None:
                # not with_suffix: a name may hold dots
                _link(source, folder / f"{entry.name}{source.suffix}")
        if progress is not None:
            progress(done, len(entries))
    return list(folders.values())


def _link(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source = source.resolve()
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:
            os.symlink(source, target)
    except FileExistsError:
        if not os.path.samefile(source, target):
            raise DataError(
                f"{target}: exists and is another image; choose a new or empty folder"
            ) from None
    except OSError as error:
        raise DataError(f"{target}: cannot be linked ({error.strerror})") from None
