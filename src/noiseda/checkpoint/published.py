"""The published research code's checkpoints: a torch-saved state dict with `RestorationNet.*`,
`denoise_fn.*` and the buffers of the noise schedule."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from noiseda.checkpoint.info import TASKS, ModelInfo
from noiseda.checkpoint.native import build_fitting
from noiseda.errors import ModelFileError, OptionError, did_you_mean
from noiseda.networks import RestorationNetwork

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
        task = self.task(task)
        options = {
            "width": first.shape[0],
            "depth": len(levels),
            "upsampling": "aligned",
            # the published derain and deblur models work on [-1, 1], the denoiser on [0, 1]
            "value_range": "unit" if task == "denoise" else "signed",
        }
        weights = {f"body.{name}": value for name, value in self.restoration.items()}
        network = build_fitting(weights, self.path, "unet", options)
        provenance = {"published": self.path.name, "predictor": self.predictor_kind}
        info = ModelInfo(
            network=network.name, options=network.options, task=task, provenance=provenance
        )
        return network.eval(), info


def task_of(path: Path, given: str | None) -> str:
    """What a file that does not say it is for: `given`, or what its name says, or "denoise".

    Raises:
        OptionError: an unknown task is given.
    """
    if given is not None:
        if given not in TASKS:
            raise OptionError(f"unknown task {given!r}{did_you_mean(given, TASKS)}")
        return given
    named = [task for task in TASKS if task in path.name.lower()]
    return named[0] if len(named) == 1 else "denoise"


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
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ModelFileError(
            f"{path}: not a whole checkpoint; copy or download it again ({reason})"
        ) from None


def is_published(state: Any) -> bool:
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
    parts: dict[str, dict[str, Tensor]] = {RESTORATION: {}, PREDICTOR: {}, "": {}}
    for name, value in state.items():
        prefix = next(p for p in parts if str(name).startswith(p))
        parts[prefix][str(name).removeprefix(prefix)] = value
    unknown = sorted(set(parts[""]) - _SCHEDULE)
    if unknown or not parts[RESTORATION]:
        found = ", ".join((unknown or list(state))[:3])
        raise ModelFileError(
            f"{path}: not a published checkpoint: expected names that start with "
            f"{RESTORATION!r} or {PREDICTOR!r}, found {found or 'nothing'}; nor does spandrel "
            "recognise a network in it"
        )
    return PublishedCheckpoint(path, parts[RESTORATION], parts[PREDICTOR], parts[""])
