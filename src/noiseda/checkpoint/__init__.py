"""Model files: a safetensors file that describes itself, and the published `.pth` format.

Opening a file never executes code from it, and every parameter must be there: nothing loads
partly.
"""

from __future__ import annotations

from pathlib import Path

from noiseda.checkpoint.info import FORMAT, TASKS, ModelInfo
from noiseda.checkpoint.native import read_native, read_training_part, save
from noiseda.checkpoint.published import (
    PREDICTOR,
    PublishedCheckpoint,
    read_published,
    training_part,
    write_published,
)
from noiseda.checkpoint.shipped import shipped_model
from noiseda.errors import ModelFileError
from noiseda.networks import RestorationNetwork

__all__ = [
    "FORMAT",
    "PREDICTOR",
    "TASKS",
    "ModelInfo",
    "PublishedCheckpoint",
    "is_published",
    "open_model",
    "open_training_part",
    "read_published",
    "save",
    "shipped_model",
    "write_published",
]


def open_model(path: str | Path, task: str | None = None) -> tuple[RestorationNetwork, ModelInfo]:
    """Open a model file of either format; which one it is, its content tells.

    Args:
        path: a `model.safetensors` of this project, or a published `.pth`.
        task: what the model is expected to be for. A published file does not say; there it also
            decides the value range ([0, 1] for denoise, [-1, 1] for derain and deblur).

    Raises:
        ModelFileError: missing, truncated, unsafe or wrong file, a newer format version, or a
            model of another task.
    """
    path = _file(path)
    if is_published(path):
        return read_published(path).network(task)
    network, info = read_native(path)
    if task is not None and info.task != task:
        raise ModelFileError(f"{path}: this model is for {info.task!r}, not for {str(task)!r}")
    return network, info


def open_training_part(path: str | Path) -> PublishedCheckpoint:
    """What a model file of either format holds for further training alone: the weights of the
    noise predictor and the tables of its schedule, both empty if it holds none.

    Raises:
        ModelFileError: missing, truncated, unsafe or wrong file.
    """
    path = _file(path)
    if is_published(path):
        return read_published(path)
    return training_part(path, read_training_part(path))


def is_published(path: Path) -> bool:
    """Whether a file is a zip or a pickle, as published checkpoints are, and no safetensors.

    Raises:
        ModelFileError: the file is missing, empty or cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        reason = error.strerror
        if isinstance(error, FileNotFoundError):
            reason = "no such file"
        elif path.is_dir():
            reason = "this folder has no model.safetensors"
        raise ModelFileError(f"{path}: cannot open the model: {reason}") from None
    if not start:
        raise ModelFileError(f"{path}: the model file is empty; copy or download it again")
    # safetensors start with the length of their header, whose bytes may be a zip's or a pickle's
    native = start[4:] == b"\0\0\0\0{"
    return not native and (start[:2] == b"PK" or start[:1] == b"\x80")


def _file(path: str | Path) -> Path:
    """The model file; that in a run folder if it is one."""
    path = Path(path)
    if path.is_dir() and (path / "model.safetensors").is_file():
        return path / "model.safetensors"
    return path
