"""The folder of an adaptation: what is in it while it is made, and what tells how far it is."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from noiseda.errors import RunError
from noiseda.files import write_whole
from noiseda.images.library import shown
from noiseda.report import PAGE

MODEL = "model.safetensors"
RESTORED = "restored"
PREVIEW = "preview.jpg"
WORK = "work"
STATE = "adapt.json"
# what a process leaves that was killed while it wrote a file
_LEFTOVERS = ".noiseda-*.tmp"


@dataclass
class State:
    """What has been done, in `adapt.json`.

    Attributes:
        photos: the folder of photos.
        model: that adaptation starts from, as it was named.
        digest: of that model's file.
        minutes: that adaptation may take.
        seed: of every random draw.
        steps: of the training that were planned, once they are.
        times: seconds of each stage so far.
        adapted: whether the training is over.
        verdict: fields of `judgement.Verdict`, once there is one.
        kept: "adapted" or "start", whose model is kept, once that is decided.
        finished: whether everything is there.
    """

    photos: str
    model: str
    digest: str
    minutes: float
    seed: int
    steps: int | None = None
    times: dict[str, float] = field(default_factory=dict)
    adapted: bool = False
    verdict: dict[str, Any] | None = None
    kept: str | None = None
    finished: bool = False

    def write(self, folder: Path) -> None:
        """
        Raises:
            RunError: the folder cannot be written.
        """
        times = {stage: round(seconds, 1) for stage, seconds in self.times.items()}
        content = {**asdict(self), "times": times}
        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        keep(folder / STATE, text.encode("utf-8", "surrogateescape"))


def keep(path: Path, data: bytes) -> None:
    """Write a file of the folder, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"{shown(path)}: cannot be written ({error.strerror or error}); free space, then run the "
        "same command again to go on"
    )


def begun(folder: Path, wanted: State) -> State | None:
    """What was done of an adaptation; None if it is to begin.

    Args:
        folder: for everything that is made.
        wanted: of an adaptation that begins.

    Raises:
        RunError: the folder lies in that of the photos, or holds something else, an adaptation of
            other photos or from another model, or a finished one.
    """
    photos = Path(wanted.photos)
    if photos in (folder.resolve(), *folder.resolve().parents):
        raise RunError(f"{shown(folder)} lies in the folder of photos; choose another with -o")
    state = _read(folder)
    if state is None:
        _refuse_used(folder)
        return None
    if state.photos != wanted.photos:
        raise RunError(
            f"{shown(folder)} holds an adaptation to other photos ({shown(state.photos)}); choose "
            "another folder with -o"
        )
    if state.digest != wanted.digest:
        raise RunError(
            f"{shown(folder)} holds an adaptation from another model ({shown(state.model)}); "
            "choose another folder with -o, or that model with --from"
        )
    if state.finished:
        # if it was killed before the last of its steps
        shutil.rmtree(folder / WORK, ignore_errors=True)
        raise RunError(
            f"{shown(folder)} holds a finished adaptation: see {shown(folder / PAGE)}; for another "
            "one choose another folder with -o"
        )
    return state


def remove_leftovers(folder: Path) -> None:
    """Remove what is of no use once everything is there."""
    shutil.rmtree(folder / WORK, ignore_errors=True)
    for path in [*folder.glob(_LEFTOVERS), *(folder / RESTORED).rglob(_LEFTOVERS)]:
        path.unlink(missing_ok=True)


def _refuse_used(folder: Path) -> None:
    used = RunError(f"{shown(folder)} exists already; choose another folder with -o")
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise used
        return
    present, leftovers = set(folder.iterdir()), set(folder.glob(_LEFTOVERS))
    if present - leftovers:
        raise used
    for path in leftovers:
        path.unlink(missing_ok=True)


def _read(folder: Path) -> State | None:
    path = folder / STATE
    try:
        if not path.is_file():
            return None
        return State(**json.loads(path.read_bytes().decode("utf-8", "surrogateescape")))
    except (OSError, ValueError, TypeError):
        raise RunError(f"{shown(path)}: damaged; choose another folder with -o") from None
