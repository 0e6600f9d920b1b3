"""Find the images of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from noiseda.errors import DataError
from noiseda.images.library import shown

#: Suffixes, in lower case, of what counts as an image in a folder. Some (HEIC, animations) may
#: turn out unreadable: they are listed so that they are reported, rather than left out unnoticed.
SUFFIXES = frozenset(
    [
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp"),
        *(".bmp", ".dib", ".ppm", ".pgm", ".pnm", ".gif", ".avif", ".heic", ".heif"),
    ]
)


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """All images under `folder`, at any depth, sorted by relative path.

    Hidden files and folders (a leading dot) are skipped. Links to folders are followed, each real
    folder once.

    Returns:
        Paths that start with `folder`.

    Raises:
        DataError: the folder is missing, is not a folder, cannot be listed or holds no image.
    """
    root = Path(folder)
    if not root.exists():
        raise DataError(f"{shown(root)}: no such folder; check the path")
    if not root.is_dir():
        raise DataError(f"{shown(root)}: is a file, not a folder; give the folder that holds it")

    def refuse(error: OSError) -> None:
        where = shown(error.filename or root)
        raise DataError(f"{where}: cannot be listed ({error.strerror}); check its permissions")

    found: list[Path] = []
    others = 0
    visited: set[str] = set()
    for parent, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        # sorted, so that which of two links to one folder counts does not depend on the disk
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.startswith("."):
                continue
            if os.path.splitext(name)[1].lower() in SUFFIXES:
                found.append(Path(parent, name))
            else:
                others += 1
    if not found:
        what = f"{others} other file{'s' * (others != 1)}" if others else "it is empty"
        raise DataError(
            f"{shown(root)}: no image in this folder ({what}); give a folder with PNG, JPEG, TIFF,"
            " WebP, BMP or PPM files"
        )
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())
