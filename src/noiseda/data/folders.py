"""Which images of which folders take part."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic

from noiseda import images
from noiseda.data.crops import is_prepared, open_prepared
from noiseda.errors import DataError


def _no_number(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError("not a text in YAML; put quotes around the name of a folder or file")
    return value


def _absolute(path: Path) -> Path:
    # the shell leaves a "~" alone when it does not begin a word, as in data.real=~/photos
    with contextlib.suppress(RuntimeError):
        # raised if there is no such user: then, as for a shell, it is a name like any other
        path = path.expanduser()
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise ValueError("its name is not UTF-8, which no recipe can hold; link to it") from None
    return path.absolute()


# a relative path counts from the current folder; a run must find it again from any other
AbsolutePath = Annotated[
    Path, pydantic.BeforeValidator(_no_number), pydantic.AfterValidator(_absolute)
]


class Selection(pydantic.BaseModel):
    """Images of a folder and its sub-folders.

    Attributes:
        folder: where they are; or a folder of crops that `noiseda data prepare` made.
        include: patterns of paths relative to the folder (`01*.png`, `indoor/*`); empty for all.
        exclude: patterns of those to leave out.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    folder: AbsolutePath
    include: list[str] = []
    exclude: list[str] = []


def select(selections: Sequence[Selection]) -> list[tuple[str, Path]]:
    """The chosen images as (path relative to the folder, path), folder by folder, sorted. Of
    prepared crops, the images they were cut from, by their names.

    Raises:
        DataError: a folder is missing or has no image, or its patterns leave none.
    """
    chosen: list[tuple[str, Path]] = []
    for selection in selections:
        found = _found(selection.folder)
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


def _found(folder: Path) -> list[tuple[str, Path]]:
    if is_prepared(folder):
        return open_prepared(folder).images
    return [(path.relative_to(folder).as_posix(), path) for path in images.list_images(folder)]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
