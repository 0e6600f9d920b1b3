"""The folder of an adaptation: what is in it while it is made, and what tells how far it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from noiseda.errors import RunError
from noiseda.files import write_whole
from noiseda.report import FILES, PAGE

MODEL = "model.safetensors"
RESTORED = "restored"
PREVIEW = "preview.jpg"
WORK = "work"
_STATE = "adapt.json"
_OURS = {MODEL, RESTORED, PREVIEW, WORK, _STATE, PAGE, FILES}


@dataclass
class State:
    """What has been done.

    Attributes:
        photos: the folder of photos.
        start: digest of the model that adaptation starts from.
        minutes: that adaptation may take.
        steps: of the training, once they are planned.
        times: seconds of each stage that is done.
        verdict: what was decided, once it is.
        finished: whether everything is there.
    """

    photos: str
    start: str
    minutes: float
    steps: int | None = None
    times: dict[str, float] = field(default_factory=dict)
    verdict: dict[str, Any] | None = None
    finished: bool = False

    def write(self, folder: Path) -> None:
        """
        Raises:
            RunError: the folder cannot be written.
        """
        text = json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"
        try:
            write_whole(folder / _STATE, text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise RunError(f"{folder}: cannot be written: {error.strerror}") from None


def adapt_file(folder: Path) -> Path:
    """Where an adaptation's folder says what was done."""
    return folder / _STATE


def finished(folder: Path) -> bool:
    """Whether a folder holds a finished adaptation."""
    state = _read(folder)
    return state is not None and state.finished


def open_folder(folder: Path, photos: Path, start: Path, minutes: float) -> State:
    """Begin an adaptation in a folder, or go on with the one that is there.

    Raises:
        RunError: the folder holds something else, an adaptation of other photos or from another
            model, or a finished one; or it cannot be made.
    """
    inside = photos.resolve()
    if inside in (folder.resolve(), *folder.resolve().parents):
        raise RunError(f"{folder} lies in the folder of photos; choose another with -o")
    digest = hashlib.sha256(start.read_bytes()).hexdigest()[:16]
    state = _read(folder)
    if state is None:
        present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if present or (folder.exists() and not folder.is_dir()):
            raise RunError(f"{folder} exists already; choose another folder with -o")
        try:
            (folder / WORK).mkdir(parents=True)
        except OSError as error:
            raise RunError(f"{folder}: cannot be made: {error.strerror}") from None
        return State(str(photos.resolve()), digest, minutes)
    if state.photos != str(photos.resolve()) or state.start != digest:
        raise RunError(
            f"{folder} holds an adaptation to other photos ({state.photos}), or from another "
            "model; choose another folder with -o"
        )
    if state.finished:
        raise RunError(
            f"{folder} holds a finished adaptation: see {folder / PAGE}; for another one choose "
            "another folder with -o"
        )
    return state


def _read(folder: Path) -> State | None:
    path = folder / _STATE
    if not path.is_file():
        return None
    try:
        return State(**json.loads(path.read_bytes().decode("utf-8", "surrogateescape")))
    except (OSError, ValueError, TypeError):
        raise RunError(f"{path}: damaged; choose another folder with -o") from None
