"""Which images of which folders take part."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pydantic

from noiseda import images
from noiseda.errors import DataError

# a relative path counts from the current folder; a run must find it again from any other. The
# shell leaves a "~" alone when it does not begin a word, as in data.real=~/photos
AbsolutePath = Annotated[Path, pydantic.AfterValidator(lambda path: path.expanduser().absolute())]


class Selection(pydantic.BaseModel):
    """Images of a folder and its sub-folders.

    Attributes:
        folder: where they are.
        include: patterns of paths relative to the folder (`01*.png`, `indoor/*`); empty for all.
        exclude: patterns of those to leave out.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    folder: AbsolutePath
    include: list[str] = []
    exclude: list[str] = []


def select(selections: Sequence[Selection]) -> list[tuple[str, Path]]:
    """The chosen images as (path relative to the folder, path), folder by folder, sorted.

    Raises:
        DataError: a folder is missing or has no image, or its patterns leave none.
    """
    chosen: list[tuple[str, Path]] = []
    for selection in selections:
        found = [
            (path.relative_to(selection.folder).as_posix(), path)
            for path in images.list_images(selection.folder)
        ]
        kept = [
            (name, path)
            for name, path in found
            if (not selection.include or _matches(name, selection.include))
            and not _matches(name, selection.exclude)
        ]
        if not kept:
            raise DataError(
                f"{selection.folder}: none of its {len(found)} images matches "
                f"include {selection.include} and exclude {selection.exclude}"
            )
        chosen += kept
    return chosen


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
