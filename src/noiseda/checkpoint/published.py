"""The published research code's checkpoints: a torch-saved state dict with `RestorationNet.*`,
`denoise_fn.*` and the buffers of the noise schedule."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from noiseda.checkpoint.info import TASKS, ModelInfo
from noiseda.checkpoint.native import build_fitting
from noiseda.errors import ModelFileError, OptionError, did_you_mean
from noiseda.files import write_whole
from noiseda.networks import RestorationNetwork

# key in the provenance of a model whose task nobody gave
ASSUMED = "task assumed"
RESTORATION = "RestorationNet."
PREDICTOR = "denoise_fn."
_SCHEDULE = {
    "gammas",
    "sqrt_recip_gammas",
    "sqrt_recipm1_gammas",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
}


@dataclass(frozen=True)
class PublishedCheckpoint:
    """Contents of a published checkpoint, names without their prefixes.

    Attributes:
        path: the file.
        restoration: weights of the restoration U-Net.
        predictor: weights of the noise predictor; empty if the file holds none.
        schedule: buffers of the noise schedule; empty if the file holds none.
    """

    path: Path
    restoration: dict[str, Tensor]
    predictor: dict[str, Tensor]
    schedule: dict[str, Tensor]

    @property
    def predictor_kind(self) -> Literal["guided", "sr3"] | None:
        """Which noise predictor the file holds, read from its parameter names."""
        if any(name.startswith("input_blocks.") for name in self.predictor):
            return "guided"
        if any(name.startswith("downs.") for name in self.predictor):
            return "sr3"
        return None

    @property
    def training(self) -> dict[str, Tensor]:
        """Noise predictor and schedule, which only training needs, by their full names."""
        return {PREDICTOR + name: value for name, value in self.predictor.items()} | self.schedule

    def task(self, given: str | None = None) -> str:
        """`given`, or what the file's name says, or "denoise"."""
        return task_of(self.path, given)

    def network(self, task: str | None = None) -> tuple[RestorationNetwork, ModelInfo]:
        """The restoration network with the file's weights; width and depth from their shapes.

        Raises:
            ModelFileError: the weights are not a restoration U-Net's.
        """
        first = self.restoration.get("down_path.0.block.0.weight")
        if first is None or first.ndim != 4:
            raise ModelFileError(f"{self.path}: its restoration network is not the published U-Net")
        levels = {name.split(".")[1] for name in self.restoration if name.startswith("down_path.")}
        assumed = task is None and not named_task(self.path)
        task = self.task(task)
        options = {
            "width": first.shape[0],
            "depth": len(levels),
            "upsampling": "aligned",
            # the published derain and deblur models work on [-1, 1], the denoiser on [0, 1]
            "value_range": value_range(task),
        }
        weights = {f"body.{name}": value for name, value in self.restoration.items()}
        network = build_fitting(weights, self.path, "unet", options)
        provenance = {"published": self.path.name, "predictor": self.predictor_kind}
        if assumed:
            provenance[ASSUMED] = (
                f"{task}, as neither the file nor its name tells it; it decides the value range"
            )
        info = ModelInfo(
            network=network.name, options=network.options, task=task, provenance=provenance
        )
        return network.eval(), info


def value_range(task: str) -> Literal["unit", "signed"]:
    """The range that published networks of a task work in."""
    return "unit" if task == "denoise" else "signed"


def write_published(
    path: Path,
    network: RestorationNetwork,
    task: str,
    training: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint in the published format, whole or not at all; replaces what was there.

    Read back, it is the same network of the same task, bit for bit, if the task is given or the
    file's name says it.

    Args:
        path: the file.
        network: its weights become `RestorationNet.*`.
        task: what it is for; the format itself does not hold it.
        training: `denoise_fn.*` and the tables of the schedule, see `PublishedCheckpoint.training`.

    Raises:
        ModelFileError: the format has no place for this network, or the file cannot be written.
    """
    options = network.options
    if network.name != "unet" or options["upsampling"] != "aligned":
        what = f"network {network.name!r}"
        what += f" with upsampling {options['upsampling']!r}" if network.name == "unet" else ""
        raise ModelFileError(
            f"{path}: the published format holds a 'unet' with upsampling 'aligned' alone, not a "
            f"{what}; write a .safetensors, or train with network.upsampling=aligned"
        )
    if options["value_range"] != value_range(task):
        raise ModelFileError(
            f"{path}: read back as a model for {task!r}, the published format means value_range "
            f"{value_range(task)!r}, but this network's is {options['value_range']!r}; write a "
            ".safetensors"
        )
    state = {
        RESTORATION + name.removeprefix("body."): value
        for name, value in network.state_dict().items()
    }
    # contiguous copies: views would drag the storage they look into into the file
    state = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in {**state, **(training or {})}.items()
    }
    content = io.BytesIO()
    torch.save(state, content)
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        raise ModelFileError(f"{path}: cannot write the model: {error.strerror}") from None


def task_of(path: Path, given: str | None) -> str:
    """What a file that does not say it is for: `given`, or what its name says, or "denoise".

    Raises:
        OptionError: an unknown task is given.
    """
    if given is not None:
        if given not in TASKS:
            raise OptionError(f"unknown task {given!r}{did_you_mean(given, TASKS)}")
        return given
    return named_task(path) or "denoise"


def named_task(path: Path) -> str | None:
    """The task that a file's name says; None if it says none, or several."""
    named = [task for task in TASKS if task in path.name.lower()]
    return named[0] if len(named) == 1 else None


def plain(value: object) -> bool:
    """A dense tensor of real numbers in memory, which is what weights and buffers are."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_complex()
    )


def read_published(path: str | Path) -> PublishedCheckpoint:
    """Read a published checkpoint with weights-only loading: tensors, no code.

    Raises:
        ModelFileError: truncated, not a state dict of this format, or a pickle with code in it.
    """
    path = Path(path)
    return as_published(path, read_weights(path))


def read_weights(path: Path) -> Any:
    """What a torch-saved file holds: tensors and plain values, never code.

    Raises:
        ModelFileError: truncated, or a pickle with code in it.
    """
    try:
        # the open file: given a name that ends in .safetensors, torch believes the name
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelFileError(
            f"{path}: holds more than weights (such a file can run code when opened) or is "
            "damaged; nothing was executed. Ask for a file with the state dict alone"
        ) from None
    except Exception as error:
        if "TorchScript" in str(error):
            raise ModelFileError(
                f"{path}: a TorchScript program, which would run when opened; nothing was "
                "executed. Ask for a file with the state dict alone"
            ) from None
        # damaged bytes make the unpickler stumble in any way
        reason = str(error).split(". ")[0].splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(
            f"{path}: not a whole checkpoint; copy or download it again ({reason})"
        ) from None


def holds_published(state: Any) -> bool:
    """Whether what `read_weights` gave is, or was, a published checkpoint."""
    return isinstance(state, dict) and any(
        str(name).startswith((RESTORATION, PREDICTOR)) for name in state
    )


def as_published(path: Path, state: Any) -> PublishedCheckpoint:
    """What `read_weights` gave as a published checkpoint.

    Raises:
        ModelFileError: it is not of this format.
    """
    if not isinstance(state, dict) or not all(map(plain, state.values())):
        raise ModelFileError(f"{path}: not a state dict of tensors, so not a published checkpoint")
    parts = _by_prefix(state)
    unknown = sorted(set(parts[""]) - _SCHEDULE)
    if unknown or not parts[RESTORATION]:
        found = ", ".join((unknown or list(state))[:3])
        raise ModelFileError(
            f"{path}: not a published checkpoint: expected names that start with "
            f"{RESTORATION!r} or {PREDICTOR!r}, found {found or 'nothing'}; nor does spandrel "
            "recognise a network in it"
        )
    return PublishedCheckpoint(path, parts[RESTORATION], parts[PREDICTOR], parts[""])


def training_part(path: Path, state: Mapping[str, Tensor]) -> PublishedCheckpoint:
    """A checkpoint without a restoration network, from what `PublishedCheckpoint.training` gives.

    Raises:
        ModelFileError: a name that the format does not have.
    """
    parts = _by_prefix(state)
    unknown = sorted({*parts[RESTORATION], *parts[""]} - _SCHEDULE)
    if unknown:
        raise ModelFileError(f"{path}: unknown tensors for training: {', '.join(unknown[:3])}")
    return PublishedCheckpoint(path, {}, parts[PREDICTOR], parts[""])


def _by_prefix(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Names without their prefix, by prefix."""
    parts: dict[str, dict[str, Tensor]] = {RESTORATION: {}, PREDICTOR: {}, "": {}}
    for name, value in state.items():
        prefix = next(p for p in parts if str(name).startswith(p))
        parts[prefix][str(name).removeprefix(prefix)] = value
    return parts
