"""The models that ship inside the package; `noiseda/models` also has a card about each."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from noiseda.errors import ModelFileError


def shipped_model(task: str) -> Path:
    """The file of the shipped model for a task.

    Args:
        task: "denoise", "derain" or "deblur".

    Raises:
        ModelFileError: none ships for that task.
    """
    path = Path(str(files("noiseda").joinpath("models", f"{task}.safetensors")))
    if not path.is_file():
        raise ModelFileError(f"no model for {task!r} ships with noiseda; name one with --model")
    return path
