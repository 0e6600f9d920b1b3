"""Cut images into crops: in parallel, resumable, each image once."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from noiseda import images
from noiseda.data.crops import INDEX, JOURNAL, PART, PIXELS, VERSION, Crop, Grid
from noiseda.data.layouts import Entry
from noiseda.data.parallel import each
from noiseda.errors import DataError, ImageError
from noiseda.files import write_whole

#: What the two sides of pairs are called, in a prepared folder and as plain folders.
SIDES = ("degraded", "clean")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Outcome:
    """What a preparation did.

    Attributes:
        folders: what can be named in a recipe: one, or those of the degraded and clean sides.
        images: how many (pairs) are in it, and `cut` how many of them this call cut.
        crops: how many each folder holds.
        failures: what is left out, in words.
    """

    folders: list[Path]
    images: int
    cut: int
    crops: int
    failures: list[str]


@dataclass(frozen=True)
class _Job:
    """An image, or a pair: its files, their crops, and where these go in each target."""

    number: int
    files: tuple[str, ...]
    shape: tuple[int, int]
    crops: tuple[Crop, ...]
    offset: int
    targets: tuple[str, ...]


def prepare(
    entries: Sequence[Entry],
    out: Path,
    grid: Grid,
    part: str | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Cut images, or pairs of them at the same places, into prepared folders (see `crops`).

    Args:
        entries: of a layout; pairs go to the folders `degraded` and `clean` in `out`, single
            images to `out` itself.
        out: the folder; what an interrupted call left in it is taken up.
        grid: how images are cut.
        part: "degraded" or "clean" to cut this side of pairs alone, into `out` itself.
        overwrite: begin again if `out` holds other crops.
        workers: processes; None for one a core.
        progress: called with how many images are done, and of how many.

    Raises:
        DataError: nothing to cut, `out` holds something else or is worked on by another process,
            or the disk is full. What was done is kept.
    """
    sides = [side for side in SIDES if part in (None, side)]
    files = [entry.files(sides) for entry in entries]
    width = len(files[0]) if files else 0
    if not width or any(len(each_) != width for each_ in files):
        raise DataError(f"{out}: nothing to cut: the source has no {part or 'images'}")
    paired = width == 2
    folders = [out / side for side in sides] if paired else [out]
    failures: list[str] = []
    jobs = _plan([entry.name for entry in entries], files, folders, grid, failures)
    if not jobs:
        raise DataError(f"{out}: none of the images can be cut: {'; '.join(failures[:5])}")
    names = [(entries[job.number].name, job) for job in jobs]
    plan = json.dumps([asdict(grid), [_stamp(job) for job in jobs]])
    total = jobs[-1].offset + _bytes(jobs[-1])
    try:
        if not overwrite and (made := _finished(folders, plan)) is not None:
            return made
        _refuse_other(folders, overwrite)
        with _journal(folders, plan, total, overwrite) as (done, record):
            open_jobs = [job for job in jobs if job.number not in done]
            tell = progress or (lambda *_: None)
            tell(len(done), len(jobs))
            failed: set[int] = set()
            results = each(_cut, open_jobs, workers)
            for count, (job, problem) in enumerate(
                zip(open_jobs, results, strict=True), start=len(done) + 1
            ):
                if problem is None:
                    record(job.number)
                else:
                    failed.add(job.number)
                    failures.append(problem)
                tell(count, len(jobs))
            kept = [(name, job) for name, job in names if job.number not in failed]
            if not kept:
                raise DataError(f"{out}: none of the images can be cut: {'; '.join(failures[:5])}")
            for side, folder in enumerate(folders):
                _finish(folder, side, kept, total, plan, failures)
            for folder in folders:
                (folder / JOURNAL).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{error.filename or out}: {error.strerror}; free space or mend it, then run the same "
            "command again: it goes on where it was"
        ) from None
    return Outcome(
        folders,
        len(kept),
        len(open_jobs) - len(failed),
        sum(len(j.crops) for _, j in kept),
        failures,
    )


def _plan(
    names: Sequence[str],
    files: Sequence[Sequence[Path]],
    folders: Sequence[Path],
    grid: Grid,
    failures: list[str],
) -> list[_Job]:
    """What is to be cut, by the headers; what these show to be wrong goes to `failures`."""
    jobs: list[_Job] = []
    offset = 0
    targets = tuple(str(folder / PART) for folder in folders)
    for number, paths in enumerate(files):
        try:
            shapes = [images.size(path) for path in paths]
        except ImageError as error:
            failures.append(str(error))
            continue
        if len(set(shapes)) > 1:
            sizes = " and ".join(f"{width}×{height}" for height, width in shapes)
            failures.append(f"{names[number]}: degraded and clean are of different sizes, {sizes}")
            continue
        crops = tuple(grid.cut(*shapes[0]))
        found = tuple(str(path.absolute()) for path in paths)
        jobs.append(_Job(number, found, shapes[0], crops, offset, targets))
        offset += _bytes(jobs[-1])
    return jobs


def _bytes(job: _Job) -> int:
    return sum(crop.height * crop.width * 3 for crop in job.crops)


def _stamp(job: _Job) -> list:
    """What tells whether a file is still the one that was planned for."""
    status = [os.stat(file) for file in job.files]
    return [job.number, *job.files, *job.shape, *([s.st_size, s.st_mtime_ns] for s in status)]


def _digest(plan: str) -> str:
    return hashlib.sha256(plan.encode("utf-8", "surrogateescape")).hexdigest()


def _finished(folders: Sequence[Path], plan: str) -> Outcome | None:
    """What was made, if the folders hold just these crops already."""
    content = {}
    for folder in folders:
        try:
            content = json.loads((folder / INDEX).read_text())
            if content["plan"] != _digest(plan) or not (folder / PIXELS).is_file():
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
    images_, crops = len(content["images"]), len(content["crops"])
    return Outcome(list(folders), images_, 0, crops, content["failures"])


def _refuse_other(folders: Sequence[Path], overwrite: bool) -> None:
    """Refuse folders that hold something else; make them."""
    ours = {INDEX, PIXELS, PART, JOURNAL}
    for folder in folders:
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder}: is a file; choose another folder")
        present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if present - ours:
            raise DataError(f"{folder}: holds other files; choose a new or empty folder")
        if INDEX in present and not overwrite:
            raise DataError(
                f"{folder}: holds crops of other images or settings; choose another folder or pass "
                "--overwrite"
            )
        folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _journal(
    folders: Sequence[Path], plan: str, total: int, overwrite: bool
) -> Iterator[tuple[set[int], Callable[[int], None]]]:
    """The numbers of images that are done, and how to note another one."""
    path = folders[0] / JOURNAL
    with path.open("a+b") as file:
        _lock(file.fileno(), folders[0])
        file.seek(0)
        # a line that was torn is no line
        lines = file.read().split(b"\n")[:-1]
        known = _digest(plan).encode()
        if lines and lines[0] != known and not overwrite:
            raise DataError(
                f"{folders[0]}: holds an unfinished preparation of other images or settings; "
                "choose another folder or pass --overwrite to begin again"
            )
        done: set[int] = set()
        if lines and lines[0] == known and all(_taken_up(folder) for folder in folders):
            done = {int(line) for line in lines[1:]}
            file.truncate(sum(len(line) + 1 for line in lines))
        else:
            for folder in folders:
                for name in (INDEX, PIXELS, PART):
                    (folder / name).unlink(missing_ok=True)
            _refuse_full(folders, total)
            for folder in folders:
                with (folder / PART).open("wb") as pixels:
                    pixels.truncate(total)
                (folder / JOURNAL).touch()
            file.truncate(0)
            file.write(known + b"\n")
            file.flush()
        file.seek(0, os.SEEK_END)

        def record(number: int) -> None:
            file.write(b"%d\n" % number)
            file.flush()

        yield done, record


def _taken_up(folder: Path) -> bool:
    """Whether the pixels of an earlier call are there, to go on with."""
    if (folder / PIXELS).is_file() and not (folder / PART).is_file():
        # it was stopped between naming the pixels and noting that all is done
        os.replace(folder / PIXELS, folder / PART)
    return (folder / PART).is_file()


def _lock(descriptor: int, folder: Path) -> None:
    """Keep other processes away until the file is closed."""
    with contextlib.suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # a file system without locks does not keep anybody from working
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise DataError(
                    f"{folder}: another process prepares it; wait for it or choose another folder"
                ) from None


def _refuse_full(folders: Sequence[Path], total: int) -> None:
    needed, free = total * len(folders), shutil.disk_usage(folders[0]).free
    if needed > free:
        raise DataError(
            f"{folders[0]}: the crops need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "free space or choose another disk"
        )


def _cut(job: _Job) -> str | None:
    """Put the crops of an image where they belong; what is wrong with it, if so."""
    try:
        decoded = [images.read_rgb8(file) for file in job.files]
    except ImageError as error:
        return str(error)
    for pixels, target in zip(decoded, job.targets, strict=True):
        if pixels.shape[:2] != job.shape:
            return f"{job.files[0]}: changed while it was prepared"
        with open(target, "r+b") as file:
            file.seek(job.offset)
            for crop in job.crops:
                rows = slice(crop.top, crop.top + crop.height)
                part = pixels[rows, crop.left : crop.left + crop.width]
                file.write(np.ascontiguousarray(part).data)
            file.flush()
            # noted as done only when it is
            os.fsync(file.fileno())
    return None


def _finish(
    folder: Path,
    side: int,
    kept: Sequence[tuple[str, _Job]],
    total: int,
    plan: str,
    failures: Sequence[str],
) -> None:
    """Give the pixels their name and write the index."""
    crops = []
    for number, (_, job) in enumerate(kept):
        offset = job.offset
        for crop in job.crops:
            crops.append([number, crop.top, crop.left, crop.height, crop.width, offset])
            offset += crop.height * crop.width * 3
    os.replace(folder / PART, folder / PIXELS)
    content = {
        "version": VERSION,
        "plan": _digest(plan),
        "bytes": total,
        "failures": list(failures),
        "images": [(name, job.files[side]) for name, job in kept],
        "crops": crops,
    }
    # names of files may be any bytes, which JSON keeps escaped
    write_whole(folder / INDEX, json.dumps(content).encode())
