"""Restore files and whole folders: the same tree out, nothing overwritten unasked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from noiseda import images
from noiseda.errors import DataError, ImageError, OptionError, WriteError
from noiseda.images.library import shown
from noiseda.restoration.restorer import Restorer
from noiseda.restoration.tiling import shown_size


@dataclass(frozen=True)
class Job:
    """One image to restore: where it is and where the result goes."""

    source: Path
    target: Path


@dataclass
class Outcome:
    """What became of the jobs.

    Attributes:
        done: targets written.
        kept: targets that were there before and were left alone.
        failed: sources that could not be restored, each with a line that says why.
        approximate: those of `done` whose tiles were blended, because the network sees the whole
            image and that is too large for the memory.
        unwritten: those of `failed` for which the disk had no space or gave no permission.
        interrupted: True if the user stopped it; what is in `done` stays.
    """

    done: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    approximate: list[Path] = field(default_factory=list)
    unwritten: list[Path] = field(default_factory=list)
    interrupted: bool = False


def plan_jobs(inputs: Sequence[Path], output: Path) -> list[Job]:
    """Which files go where: a file keeps its name, a folder its tree.

    A single input file may be given an output file name instead of a folder.

    Raises:
        DataError: a missing input, a folder without images, two inputs for one output, or an
            output that cannot be a folder.
    """
    for given in inputs:
        if not given.exists():
            raise DataError(f"{given}: no such file or folder")
    to_file = output.suffix.lower() in images.SUFFIXES and not output.is_dir()
    _check_folder(output.parent if to_file else output)
    if to_file and len(inputs) == 1 and inputs[0].is_file():
        return [Job(inputs[0], output)]
    if to_file:
        raise DataError(f"{output}: for more than one file, give a folder as output")
    jobs: list[Job] = []
    for given in inputs:
        if given.is_dir():
            inside = output.resolve()
            found = [path for path in images.list_images(given) if not _within(path, inside, given)]
            if not found:
                raise DataError(f"{given}: no image in this folder")
            jobs += [Job(path, output / path.relative_to(given)) for path in found]
        else:
            jobs.append(Job(given, output / given.name))
    targets: dict[Path, Path] = {}
    for job in jobs:
        other = targets.setdefault(job.target, job.source)
        if other != job.source:
            raise DataError(
                f"{other} and {job.source} would both be written to {job.target}; "
                "choose different folders for them"
            )
    return list({job.target: job for job in jobs}.values())


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to, before any time goes into results."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise DataError(f"{folder}: cannot be the output folder: {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{folder}: cannot be the output folder: no permission to write to {there}")


def _within(path: Path, output: Path, given: Path) -> bool:
    """Whether a found file is a result of ours: the output folder lies inside the input."""
    return output != given.resolve() and output in path.resolve().parents


def measure(source: Path, restorer: Restorer) -> int:
    """The number of pixels of a photo that can be restored, from its header alone.

    Raises:
        ImageError: not a readable image, as far as the header shows it.
        OptionError: too large for the memory: for what is free to hold the photo, or for what the
            network may take beside it.
    """
    header = images.header(source)
    # as read and as restored; the rest of what it takes depends on the format
    held, free = 2 * header.nbytes, psutil.virtual_memory().available
    if held > free:
        raise OptionError(
            f"{shown(source)}: a {header.width}×{header.height} photo takes {shown_size(held)} to "
            f"hold, but only {shown_size(free)} of memory is free; make it smaller"
        )
    try:
        restorer.tiling(header.height, header.width, header.nbytes)
    except OptionError as error:
        raise OptionError(f"{shown(source)}: {error}") from None
    return header.height * header.width


def restore_files(
    restorer: Restorer,
    jobs: Sequence[Job],
    *,
    strength: float = 1.0,
    overwrite: bool = False,
    started: Callable[[Job], None] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Outcome:
    """Restore each job; one bad file does not stop the rest, an interruption keeps what is done.

    Args:
        restorer: the network.
        jobs: from `plan_jobs`.
        strength: see `Restorer`.
        overwrite: replace targets that exist; else they are kept and listed.
        started: called with each job before it is worked on.
        advance: called with the number of pixels done since the last call.
    """
    outcome = Outcome()
    try:
        for job in jobs:
            if job.target.exists() and not overwrite:
                outcome.kept.append(job.target)
                continue
            if started:
                started(job)
            try:
                exact = _restore(restorer, job, strength, advance)
                outcome.done.append(job.target)
                if not exact:
                    outcome.approximate.append(job.target)
            except (ImageError, OptionError) as error:
                # an OptionError: this photo is too large for the memory, another may not be
                outcome.failed.append((job.source, str(error)))
                if isinstance(error, WriteError):
                    outcome.unwritten.append(job.source)
    except KeyboardInterrupt:
        # wherever it comes, also between two photos
        outcome.interrupted = True
    return outcome


def _restore(
    restorer: Restorer, job: Job, strength: float, advance: Callable[[int], None] | None
) -> bool:
    """One job, whole or not at all.

    Returns:
        Whether the result is what the network makes of the whole photo.

    Raises:
        ImageError, OptionError: why it cannot be done; the message names the file.
    """
    measure(job.source, restorer)
    _refuse_unwritable(job.target)
    photo = images.read(job.source)
    height, width = photo.pixels.shape[:2]
    try:
        exact = restorer.tiling(height, width, photo.pixels.nbytes).exact
        restored = restorer.pixels(photo.pixels, strength, advance)
    except (ImageError, OptionError) as error:
        raise type(error)(f"{shown(job.source)}: {error}") from None
    _make_folder(job.target.parent)
    images.write(job.target, restored, photo)
    return exact


def _refuse_unwritable(target: Path) -> None:
    """Before the network has worked for nothing."""
    if target.suffix.lower() not in images.WRITABLE:
        raise ImageError(
            f"{target}: files of type {target.suffix or '(none)'} cannot be written; convert the "
            "photo to PNG first"
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot make this folder: {error.strerror}") from None
