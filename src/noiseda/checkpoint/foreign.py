"""Weights files of other programs, as far as spandrel recognises the network in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noiseda.checkpoint.info import ModelInfo
from noiseda.checkpoint.native import build_fitting
from noiseda.checkpoint.published import plain
from noiseda.errors import ModelFileError, OptionError
from noiseda.networks import MissingExtraError, RestorationNetwork, recognise

# parts of names that are numbers count layers: a number far above the number of names is damage,
# and would be taken for that many layers
_FEW = 100


def read_foreign(
    path: Path, content: Any, task: str
) -> tuple[RestorationNetwork, ModelInfo] | None:
    """The network in a weights file, with its weights.

    Args:
        path: of the file, for messages.
        content: what it holds: weights by name, perhaps within other mappings and beside other
            plain values.
        task: what the model is for.

    Returns:
        None if no architecture is recognised.

    Raises:
        MissingExtraError: the extra "zoo" is not installed.
        ModelFileError: the architecture is recognised but cannot be used, or the weights do not
            fit it.
    """
    tensors = dict(_tensors(content))
    if not tensors or not all(map(plain, tensors.values())) or _absurd(list(tensors)):
        return None
    try:
        found = recognise(content)
        if found is None:
            return None
        name, options, weights = found
    except MissingExtraError:
        raise
    except OptionError as error:
        raise ModelFileError(f"{path}: {error}") from None
    weights = {f"body.net.{key}": value for key, value in weights.items()}
    network = build_fitting(weights, path, name, options).eval()
    _try(network, path)
    info = ModelInfo(
        network=network.name,
        options=network.options,
        task=task,
        provenance={"weights": path.name},
    )
    return network, info


def _try(network: RestorationNetwork, path: Path) -> None:
    """Find out now whether the network works, of which other code has found out what it is.

    Raises:
        ModelFileError: it does not restore a small image.
    """
    image = torch.full((1, 3, 8, 8), 0.5)
    try:
        with torch.inference_mode():
            restored = network(image)
        problem = None if restored.shape == image.shape else f"it gives {tuple(restored.shape)}"
    except MemoryError:
        raise
    except Exception as error:
        problem = " ".join(str(error).split())[:200]
    if problem is not None:
        raise ModelFileError(f"{path}: its {network.name} does not restore an image: {problem}")


def _tensors(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _tensors(value, f"{name}.{key}")


def _absurd(names: list[str]) -> bool:
    numbers = (part for name in names for part in name.split(".") if part.isdecimal())
    most = 10 * len(names) + _FEW
    return any(len(number) > 9 or int(number) > most for number in numbers)
