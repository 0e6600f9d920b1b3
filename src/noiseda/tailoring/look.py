"""The first look at the photos: which can be used, which are kept back, what to say about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from noiseda import images
from noiseda.checkpoint import ModelInfo
from noiseda.console import progress_bar
from noiseda.errors import DataError
from noiseda.measurement import Survey, hints, novelty, survey

# photos learned from, and photos kept back to judge on
_MOST, _KEPT_BACK = 48, 8
# with fewer, none can be spared: they are judged on, too
_SPARE = 4
_SMALLEST = 64


@dataclass(frozen=True)
class Look:
    """What a folder holds and what that means.

    Attributes:
        survey: what was found.
        told: sentences for people: what to mend, and what to expect of adapting.
        training: names, relative to the folder, of the photos to learn from.
        held_out: of those to judge on; the same ones if there are too few to spare any.
    """

    survey: Survey
    told: list[str]
    training: list[str]
    held_out: list[str]

    @property
    def spared(self) -> bool:
        """Whether the photos that are judged on are not learned from."""
        return not set(self.training) & set(self.held_out)


def look(photos: Path, info: ModelInfo) -> Look:
    """Look at a folder of photos.

    Args:
        photos: the folder.
        info: of the model to start from.

    Raises:
        DataError: no such folder, or no usable photo in it.
    """
    with progress_bar("photos") as bar:
        task = bar.add_task("looking", total=None, note="")
        found = survey(photos, lambda done, total: bar.update(task, completed=done, total=total))
    usable = _usable(photos, found)
    if not usable:
        reason = f": {found.unreadable[0][1]}" if found.unreadable else ""
        raise DataError(
            f"{photos}: none of its {found.files} photos can be used{reason}; photos must be "
            f"readable and at least {_SMALLEST} pixels high and wide"
        )
    training, held_out = split(usable, found.similar)
    told = hints(found) + novelty(found.noise, info.recipe)
    return Look(found, told, training, held_out)


def split(
    names: Sequence[str], similar: Sequence[Sequence[str]] = ()
) -> tuple[list[str], list[str]]:
    """Photos to learn from, and photos to judge on: every fourth, but of nearly equal ones none.

    Args:
        names: of usable photos.
        similar: groups of names that show the same.
    """
    if len(names) < _SPARE:
        return list(names), list(names)
    alike = {name for group in similar for name in group}
    single = [name for name in names if name not in alike] or list(names)
    count = min(max(len(names) // 4, 1), _KEPT_BACK, max(len(single) - 1, 1))
    held_out = [single[index * len(single) // count] for index in range(count)]
    training = [name for name in names if name not in held_out]
    most = min(len(training), _MOST)
    return [training[index * len(training) // most] for index in range(most)], held_out


def _usable(photos: Path, found: Survey) -> list[str]:
    copies = {name for group in found.identical for name in group[1:]}
    left_out = copies | {name for name, _ in found.unreadable} | set(found.small)
    names = [path.relative_to(photos).as_posix() for path in images.list_images(photos)]
    return [name for name in names if name not in left_out and _utf8(name)]


def _utf8(name: str) -> bool:
    """No recipe can hold another name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
