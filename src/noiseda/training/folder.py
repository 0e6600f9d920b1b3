"""The run folder: made whole or not at all, and what in it a run is continued from."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from noiseda import runtime
from noiseda.checkpoint import save
from noiseda.errors import RunError
from noiseda.networks import RestorationNetwork
from noiseda.training.recipe import Recipe

MODEL = "model.safetensors"
START = "start.safetensors"
RECIPE = "recipe.yaml"
CHECKPOINTS = "checkpoints"


@contextlib.contextmanager
def reserved(folder: Path) -> Iterator[None]:
    """Hold an empty folder that can be written to while a run is prepared; if that fails, what was
    made of its path is removed again.

    Raises:
        RunError: the folder holds something, or cannot be made or written to.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} exists already; continue it with --resume {folder}, or choose another "
            "folder with -o"
        )
    path = folder.absolute()
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise RunError(f"{folder}: a run folder's name must be UTF-8; choose another") from None
    missing = [place for place in (path, *path.parents) if not place.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from None
        refuse_unwritable(folder)
        yield
    except BaseException:
        for place in missing:
            # not empty: somebody else's by now
            with contextlib.suppress(OSError):
                place.rmdir()
        raise


def refuse_unwritable(folder: Path) -> None:
    """Find out, leaving nothing behind, before hours of work have nowhere to go.

    Raises:
        RunError: no file can be made in the folder.
    """
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _unwritable(folder, error) from None


def fill(
    folder: Path,
    recipe: Recipe,
    restorer: RestorationNetwork,
    training: Mapping[str, Tensor] | None = None,
) -> None:
    """Put into an empty run folder what the run can be continued from.

    Args:
        folder: from `reserved`.
        recipe: of the run.
        restorer: with its first weights, which are kept if they come from `training.start`: that
            file may change or go away.
        training: what else is kept then, see `checkpoint.save`.

    Raises:
        RunError, ModelFileError: the folder cannot be written; then nothing is left in it.
    """
    try:
        (folder / CHECKPOINTS).mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        (folder / "environment.json").write_text(json.dumps(runtime.environment(), indent=2))
        if recipe.training.start is not None:
            save(folder / START, restorer, task=recipe.task, training=training)
        # last, because its presence says that the folder can be resumed
        (folder / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        for name in ("environment.json", START, RECIPE):
            (folder / name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(folder, error) from None
        raise


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run folder; None if it has none yet."""
    found = (folder / CHECKPOINTS).glob("*.ckpt")
    return max((path for path in found if path.stem.isdigit()), default=None)


def refuse_unfit(checkpoint: Path, module: nn.Module) -> None:
    """Find out that a checkpoint cannot be continued from, before the data is opened.

    Raises:
        RunError: the file is damaged, or its weights are not those of `module`.
    """
    damaged = f"{checkpoint}: damaged; remove it to continue from what was before it"
    # a zip file's table of contents is at its end: it shows that nothing is cut off
    if not zipfile.is_zipfile(checkpoint):
        raise RunError(damaged)
    try:
        found = torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)
        saved = {name: list(value.shape) for name, value in found["state_dict"].items()}
    except Exception:
        # damaged bytes make the unpickler stumble in any way
        raise RunError(damaged) from None
    wanted = {name: list(value.shape) for name, value in module.state_dict().items()}
    # the averaged weights have the names and shapes of others
    names = {name for name in wanted.keys() | saved.keys() if not name.startswith("average.")}
    for name in sorted(names):
        if wanted.get(name) != saved.get(name):
            raise RunError(
                f"{checkpoint.parent.parent / RECIPE}: does not describe the networks in "
                f"{checkpoint}: {name} is {saved.get(name, 'absent')} there and would be "
                f"{wanted.get(name, 'absent')}; undo what was changed in the recipe since the run "
                "began, or train anew with it"
            )


def _unwritable(folder: Path, error: OSError) -> RunError:
    return RunError(f"{folder}: cannot write the run folder: {error.strerror}")
