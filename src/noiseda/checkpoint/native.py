"""The project's own model file: safetensors with a JSON header under the key `noiseda`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from noiseda.checkpoint.info import FORMAT, ModelInfo
from noiseda.errors import ModelFileError, OptionError
from noiseda.files import write_whole
from noiseda.networks import MissingExtraError, RestorationNetwork, build, without_memory

TRAINING = "training."
"""Before the names of tensors that only further training needs."""


def save(
    path: str | Path,
    network: RestorationNetwork,
    *,
    task: str = "denoise",
    recipe: dict[str, Any] | None = None,
    scores: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
    training: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model file: to a temporary name beside it, then renamed, so it is whole or absent.

    Args:
        path: the file to write; replaced if it exists.
        network: what to save.
        task, recipe, scores, provenance: see `ModelInfo`.
        training: what only further training needs, by the names of the published format (noise
            predictor, tables of the schedule); kept as it is, and not read when restoring.

    Raises:
        ModelFileError: the file cannot be written (no permission, disk full).
    """
    path = Path(path)
    info = ModelInfo(
        network=network.name,
        options=network.options,
        task=task,
        spec=dataclasses.asdict(network.spec),
        recipe=recipe,
        scores=scores or {},
        provenance=provenance or {},
    )
    tensors = {
        # a copy: some networks use one weight under several names
        name: value.detach().to("cpu", torch.float32, copy=True).contiguous()
        for name, value in network.state_dict().items()
    }
    for name, value in (training or {}).items():
        tensors[TRAINING + name] = value.detach().cpu().contiguous()
    try:
        write_whole(path, safetensors.torch.save(tensors, {"noiseda": info.model_dump_json()}))
    except OSError as error:
        raise ModelFileError(f"{path}: cannot write the model: {error.strerror}") from None


def read_safetensors(path: Path) -> tuple[str | None, dict[str, Tensor]]:
    """The header of a model file, None if it is not one of this project's, and the weights.

    Raises:
        ModelFileError: not a safetensors file, or truncated.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("noiseda")
        # not from the open file: a Ctrl-C in the middle of that is taken for damage
        tensors = safetensors.torch.load(path.read_bytes())
        return header, {k: value for k, value in tensors.items() if not k.startswith(TRAINING)}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ModelFileError(
            f"{path}: not a whole model file (neither safetensors nor a published .pth): {error}"
        ) from None


def as_native(
    path: Path, header: str, tensors: dict[str, Tensor]
) -> tuple[RestorationNetwork, ModelInfo]:
    """Build the network a model file describes and load its weights, strictly.

    Raises:
        ModelFileError: a damaged header, a newer version, or weights that do not fit.
    """
    try:
        fields = json.loads(header)
        version = fields.get("format") if isinstance(fields, dict) else None
        if isinstance(version, int) and version > FORMAT:
            raise ModelFileError(
                f"{path}: model format {version} is newer than this program reads ({FORMAT}); "
                "update noiseda"
            )
        info = ModelInfo.model_validate(fields)
        network = build_fitting(tensors, path, info.network, info.options)
    except (ValueError, RecursionError, pydantic.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{path}: the model's header is damaged: {reason}") from None
    return network.eval(), info


def read_training_part(path: Path) -> dict[str, Tensor]:
    """What `save` was given as `training`; empty if nothing.

    Raises:
        ModelFileError: not such a file, or truncated.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names: list[str] = file.keys()
            return {
                name.removeprefix(TRAINING): file.get_tensor(name)
                for name in names
                if name.startswith(TRAINING)
            }
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ModelFileError(f"{path}: not a whole model file: {error}") from None


def build_fitting(
    tensors: dict[str, Tensor], path: Path, name: str, options: dict[str, Any]
) -> RestorationNetwork:
    """The network `name` with these weights, of which every name and shape must fit.

    Raises:
        MissingExtraError: the network comes with an extra that is not installed.
        ModelFileError: unknown name or option; missing, unexpected or misshapen weights, or weights
            that are not finite.
    """
    try:
        # first without memory: options of a few bytes can ask for more than there is
        with without_memory():
            shapes = build(name, **options)
    except MissingExtraError as error:
        raise MissingExtraError(f"{path}: its network is {name!r}: {error}") from None
    except OptionError as error:
        raise ModelFileError(f"{path}: {error}") from None
    _load_strictly(shapes, tensors, path, assign=True)
    network = build(name, **options)
    _load_strictly(network, tensors, path)
    return network


def _load_strictly(
    module: torch.nn.Module, tensors: dict[str, Tensor], path: Path, assign: bool = False
) -> None:
    try:
        module.load_state_dict(tensors, strict=True, assign=assign)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelFileError(f"{path}: the weights do not fit the network: {reason}") from None
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelFileError(f"{path}: weights are not finite: {', '.join(broken[:3])}")
