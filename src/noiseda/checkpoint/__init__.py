"""Model files: a safetensors file that describes itself, the published `.pth` format, and other
programs' weights.

Opening a file never executes code from it, and every parameter must be there: nothing loads
partly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noiseda.checkpoint.foreign import read_foreign
from noiseda.checkpoint.info import FORMAT, TASKS, ModelInfo
from noiseda.checkpoint.native import (
    as_native,
    read_safetensors,
    read_training_part,
    save,
)
from noiseda.checkpoint.published import (
    ASSUMED,
    PREDICTOR,
    PublishedCheckpoint,
    as_published,
    holds_published,
    read_published,
    read_weights,
    task_of,
    training_part,
    write_published,
)
from noiseda.checkpoint.shipped import shipped_model
from noiseda.errors import ModelFileError
from noiseda.networks import MissingExtraError, RestorationNetwork

__all__ = [
    "ASSUMED",
    "FORMAT",
    "PREDICTOR",
    "TASKS",
    "ModelInfo",
    "PublishedCheckpoint",
    "open_model",
    "open_training_part",
    "read_published",
    "save",
    "shipped_model",
    "write_published",
]


def open_model(path: str | Path, task: str | None = None) -> tuple[RestorationNetwork, ModelInfo]:
    """Open a model file of any format; which one it is, its content tells.

    Args:
        path: a `model.safetensors` of this project, or a folder that holds one; a published
            `.pth`; or weights of a network that spandrel recognises (with the extra "zoo"), as
            `.safetensors` or as a torch-saved state dict.
        task: what the model is expected to be for. Only the project's own files say it; for a
            published one it also decides the value range ([0, 1] for denoise, [-1, 1] for derain
            and deblur).

    Raises:
        ModelFileError: missing, truncated, unsafe or wrong file, a newer format version, a model
            of another task, or a network that does not restore images at their own size.
        MissingExtraError: it takes the extra "zoo", which is not installed.
    """
    path = _file(path)
    if _torch_saved(path):
        content = read_weights(path)
        if holds_published(content):
            return as_published(path, content).network(task)
        return _recognised(path, content, task) or as_published(path, content).network(task)
    header, tensors = read_safetensors(path)
    if header is None:
        found = _recognised(path, tensors, task)
        if found is None:
            raise ModelFileError(
                f"{path}: a safetensors file, but not a noiseda model (it has no 'noiseda' "
                "header), nor of a network that spandrel recognises"
            )
        return found
    network, info = as_native(path, header, tensors)
    if task is not None and info.task != task:
        raise ModelFileError(f"{path}: this model is for {info.task!r}, not for {str(task)!r}")
    return network, info


def open_training_part(path: str | Path) -> PublishedCheckpoint:
    """What a model file of any format holds for further training alone: the weights of the
    noise predictor and the tables of its schedule, both empty if it holds none.

    Raises:
        ModelFileError: missing, truncated, unsafe or wrong file.
    """
    path = _file(path)
    if _torch_saved(path):
        content = read_weights(path)
        return as_published(path, content) if holds_published(content) else training_part(path, {})
    return training_part(path, read_training_part(path))


def _torch_saved(path: Path) -> bool:
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


def _recognised(
    path: Path, content: Any, task: str | None
) -> tuple[RestorationNetwork, ModelInfo] | None:
    try:
        return read_foreign(path, content, task_of(path, task))
    except MissingExtraError as error:
        raise MissingExtraError(
            f"{path}: not a model of this program, and {error} to open those of others"
        ) from None
