"""Text lists of image files, as published sets and code come with them."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from noiseda.errors import DataError

Pair = tuple[str, Path | None, Path]
"""Name, degraded and clean file."""


def read_pairs(file: Path, degraded: int, root: Path) -> list[tuple[str, Path, Path]]:
    """The pairs of a list with two paths a line.

    Args:
        file: the list. Its paths count from its own folder or one above, up to `root`, also if
            they begin with a slash, as SPA-Data's do.
        degraded: which of the two is the degraded one, 0 or 1.
        root: folder of the set.

    Returns:
        (name, degraded, clean); the name is the degraded file's path in the list, without suffix.

    Raises:
        DataError: lines of another form, files that are not there, or a name listed twice.
    """
    lines = [line.split() for line in _lines(file)]
    wrong = [number for number, line in enumerate(lines, start=1) if len(line) != 2]
    if wrong:
        raise DataError(f"{file}: line {wrong[0]} does not hold two paths")
    pairs = [(_relative(line[degraded]), _relative(line[1 - degraded])) for line in lines]
    base = _base(file, [path for pair in pairs for path in pair], root)
    names = [PurePosixPath(first).with_suffix("").as_posix() for first, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{file}: {twice} is listed twice")
    return [
        (name, base / first, base / second)
        for name, (first, second) in zip(names, pairs, strict=True)
    ]


def pair_lists(file: Path, clean: Path | None = None) -> list[Pair]:
    """The entries of a list with one path a line (`.flist`), or the pairs of two such lists.

    Two lists pair by path below the folder that all of a list lie in, suffixes aside. Where the
    names of the sides differ otherwise (`blur_7` and `gt_7`), lines pair in order, but only if
    the numbers in the file names agree line by line: never by order alone.

    Raises:
        DataError: a list is empty or missing, its files are not there, or they do not pair.
    """
    ours = _listed(file)
    if clean is None:
        return [(name, None, path) for name, path in ours.items()]
    theirs = _listed(clean)
    if ours.keys() == theirs.keys():
        return [(name, path, theirs[name]) for name, path in ours.items()]
    if len(ours) != len(theirs):
        raise DataError(f"{file} has {len(ours)} files and {clean} {len(theirs)}; they do not pair")
    for first, second in zip(ours, theirs, strict=True):
        if re.findall(r"\d+", first) != re.findall(r"\d+", second):
            raise DataError(
                f"{file} and {clean}: {first} and {second} stand on the same line and are not "
                "named alike; give lists in the same order"
            )
    return [(name, ours[name], path) for name, path in zip(ours, theirs.values(), strict=True)]


def _listed(file: Path) -> dict[str, Path]:
    """The files of a list by their path, without suffix, below the folder they all lie in."""
    paths = _lines(file)
    base = Path() if os.path.isabs(paths[0]) else _base(file, paths, Path(file.anchor))
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    found: dict[str, Path] = {}
    for path in paths:
        name = Path(os.path.relpath(path, common)).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{file}: {path} and {found[name]} have the same name")
        found[name] = base / path
    return found


def _lines(file: Path) -> list[str]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise DataError(f"{file}: not a text list of paths") from None
    lines = [line.replace("\\", "/") for line in lines if line]
    if not lines:
        raise DataError(f"{file}: an empty list")
    return lines


def _relative(path: str) -> str:
    """Without what makes a listed path begin at a root that is not there."""
    return re.sub(r"^(\.?/)+", "", path)


def _base(file: Path, paths: list[str], root: Path) -> Path:
    """The folder that the paths of a list count from: its own, one above it, or the current."""
    folder = file.absolute().parent
    above = [folder, *folder.parents]
    root = root.absolute()
    tried = [p for p in above if p == root or root in p.parents] or [folder]
    for base in [*tried, Path.cwd()]:
        if (base / paths[0]).is_file():
            missing = [path for path in paths if not (base / path).is_file()]
            if missing:
                raise DataError(
                    f"{file}: {len(missing)} of its {len(paths)} files are not in {base}, the "
                    f"first is {missing[0]}; unpack the set whole"
                )
            return base
    raise DataError(f"{file}: its first file {paths[0]} is neither beside the list nor above it")
