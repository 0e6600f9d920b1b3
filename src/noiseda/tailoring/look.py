"""The first look at the photos: which can be used, which are kept back, what to say about them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noiseda import images
from noiseda.checkpoint import ModelInfo
from noiseda.console import progress_bar
from noiseda.errors import DataError, RunError
from noiseda.images.library import shown
from noiseda.measurement import Noise, Survey, survey
from noiseda.tailoring.folder import keep
from noiseda.tailoring.tasks import WAYS

# photos learned from, and photos kept back to judge on, one of so many
_MOST, _KEPT_BACK, _KEPT_OF = 48, 8, 3
# with fewer, none can be spared: they are judged on, too
_SPARE = 4
_SMALLEST = 64


@dataclass(frozen=True)
class Look:
    """What a folder holds and what that means.

    Attributes:
        survey: what was found.
        usable: how many photos can be learned from or judged on.
        told: sentences for people: what to mend, and what to expect of adapting.
        training: names, relative to the folder, of the photos to learn from.
        held_out: of those kept back to judge on; the same ones if there are too few to spare any.
    """

    survey: Survey
    usable: int
    told: list[str]
    training: list[str]
    held_out: list[str]

    @property
    def few(self) -> bool:
        """Whether there are too few photos to make a model for others."""
        return not self.spared and len(self.training) < _SPARE

    @property
    def spared(self) -> bool:
        """Whether any photos are kept back."""
        return not set(self.training) & set(self.held_out)

    @property
    def sentences(self) -> list[str]:
        """All there is to tell."""
        small, _, large = self.survey.megapixels
        sizes = f"{small:.2g} to {large:.2g}" if small < large else f"{large:.2g}"
        count = f"{self.usable} of {self.survey.files} photos can be used"
        return [f"{count}; the photos have {sizes} megapixels.", *self.told]

    def write(self, path: Path) -> None:
        """
        Raises:
            RunError: it cannot be written.
        """
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)
        keep(path, text.encode("utf-8", "surrogateescape"))


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
    # of the same file under several names, the one to learn from is one that a recipe can hold
    twins = {name: min(group, key=is_odd) for group in found.identical for name in group}
    left_out = {name for name, _ in found.unreadable} | set(found.small)
    names = [name for name in found.names if name not in left_out and twins.get(name, name) == name]
    odd = [name for name in names if is_odd(name)]
    usable = [name for name in names if not is_odd(name)]
    looked = {twins.get(name, name) for name in found.looked}
    chosen = [name for name in usable if name in looked]
    if not chosen:
        reason = f"; the first one: {found.unreadable[0][1]}" if found.unreadable else ""
        raise DataError(
            f"{shown(photos)}: none of its {found.files} photos can be used; they must be "
            f"readable, at least {_SMALLEST} pixels high and wide, and have UTF-8 names{reason}"
        )
    training, held_out = split(chosen, found.similar)
    way = WAYS[info.task]
    told = way.look(found, info.recipe)
    if odd:
        told.append(
            f"{len(odd)} restored but not learned from, as their names are not UTF-8, first "
            f"{shown(odd[0])}; rename them."
        )
    if held_out == training:
        what = (
            "the result is judged on the photos it has learned from, which is less sure, and goes "
            "only half of the way from the start model, so that other photos lose little"
            if way.judged
            else "the report shows photos that the result has learned from"
        )
        told.append(f"With fewer than {_SPARE} usable photos none can be kept back: {what}.")
    return Look(found, len(usable), told, training, held_out)


def read_look(path: Path, photos: Path) -> Look | None:
    """What a look that was written has found, of the photos that are still there.

    The split stays: what was learned from never counts as kept back, unless nothing else is left.

    Args:
        path: of the file.
        photos: the folder.

    Returns:
        None if there is no such file, or none that can be read.

    Raises:
        DataError: no such folder, or no image in it.
        RunError: none of the photos that are learned from is left.
    """
    try:
        found: Any = json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
        noise = found["survey"].pop("noise")
        noise = Noise(**noise) if noise else None
        seen = Look(**{**found, "survey": Survey(**found["survey"], noise=noise)})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    present = {file.relative_to(photos).as_posix() for file in images.list_images(photos)}
    training = [name for name in seen.training if name in present]
    if not training:
        raise RunError(
            f"{shown(photos)}: the photos that are learned from are gone, first "
            f"{shown(seen.training[0])}; put them back, or begin anew in another folder with -o"
        )
    held_out = [name for name in seen.held_out if name in present] or training
    return dataclasses.replace(seen, training=training, held_out=held_out)


def split(
    names: Sequence[str], similar: Sequence[Sequence[str]] = ()
) -> tuple[list[str], list[str]]:
    """Photos to learn from, and photos to judge on: every third, and what shows the same as one of
    these is not learned from. What can be told of three photos is little (studies/adapt).

    Args:
        names: of usable photos.
        similar: groups of names that show the same.
    """
    if len(names) < _SPARE:
        return list(names), list(names)
    groups = [[name for name in group if name in names] for group in similar]
    grouped = {name for group in groups for name in group}
    units = [[name] for name in names if name not in grouped]
    count = min(len(names) // _KEPT_OF, _KEPT_BACK)
    if len(units) <= count:
        units += [group for group in groups if group]
    if len(units) == 1:
        # all show the same, so that there is no better choice
        units = [[name] for name in names]
    count = min(count, len(units) - 1)
    chosen = [units[index * len(units) // count] for index in range(count)]
    left_out = {name for unit in chosen for name in unit}
    training = [name for name in names if name not in left_out]
    most = min(len(training), _MOST)
    held_out = [unit[0] for unit in chosen]
    return [training[index * len(training) // most] for index in range(most)], held_out


def is_odd(name: str) -> bool:
    """Whether a recipe, which is UTF-8, cannot hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False
