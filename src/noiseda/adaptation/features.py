"""Features that a restoration network computes on its way, for objectives that compare domains."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from noiseda.errors import OptionError

# of the blank image that shows the features' shape; more than networks halve it
_PROBE = 64


@dataclass(frozen=True)
class Shape:
    """Features of a restoration network: `channels`, `stride` pixels from one to the next, and the
    `device` they are computed on."""

    channels: int
    stride: int
    device: torch.device


def feature_layer(restorer: nn.Module, name: str | None = None) -> nn.Module:
    """The layer whose output is compared.

    Args:
        restorer: the restoration network.
        name: of a submodule, as `named_modules` gives it; None for the one that the network names
            as its `feature_layer` (a U-Net: its deepest block).

    Raises:
        OptionError: the network names none, or has no submodule of that name.
    """
    if name is None:
        named = getattr(restorer, "feature_layer", None)
        if isinstance(named, nn.Module):
            return named
        raise OptionError(
            "this network does not say which layer's features are to be compared; "
            "give the name of one with the option features"
        )
    try:
        return restorer.get_submodule(name)
    except AttributeError:
        known = [known for known, _ in restorer.named_modules() if known]
        raise OptionError(
            f"features: the network has no layer {name!r}; it has {', '.join(known[:20])}"
        ) from None


def restore(restorer: nn.Module, images: Tensor, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Restored images and the features of one pass.

    Args:
        restorer: the restoration network.
        images: B×3×H×W degraded.
        name: see `feature_layer`.

    Returns:
        B×3×H×W restored and B×C×h×w features.

    Raises:
        OptionError: see `feature_layer`; or that layer does not give one map of features.
    """
    seen: list[Any] = []
    with _watched(feature_layer(restorer, name), seen.append):
        restored = restorer(images)
    return restored, _single(seen, name)


def encode(restorer: nn.Module, images: Tensor, name: str | None = None) -> Tensor:
    """The features alone, B×C×h×w, without what the network computes after them; see `restore`."""
    seen: list[Any] = []

    def end(output: Any) -> None:
        seen.append(output)
        raise _PassEndError

    with contextlib.suppress(_PassEndError), _watched(feature_layer(restorer, name), end):
        restorer(images)
    return _single(seen, name)


class _PassEndError(Exception):
    """Leaves a network once its features are known."""


@contextlib.contextmanager
def _watched(layer: nn.Module, note: Callable[[Any], None]) -> Iterator[None]:
    """Within this context `note` gets what the layer gives."""
    handle = layer.register_forward_hook(lambda _, inputs, output: note(output))
    try:
        yield
    finally:
        handle.remove()


def _single(seen: list[Any], name: str | None) -> Tensor:
    if len(seen) != 1 or not isinstance(seen[0], Tensor) or seen[0].ndim != 4:
        raise OptionError(
            f"features: layer {name!r} gives no single B×C×H×W map; choose another layer"
        )
    return seen[0]


def feature_shape(restorer: nn.Module, name: str | None = None) -> Shape:
    """Channels and stride of the features, from restoring a blank image.

    Raises:
        OptionError: see `restore`.
    """
    like = next(restorer.parameters())
    training = restorer.training
    # statistics that a network keeps of its images must not see a blank one
    restorer.eval()
    with torch.no_grad():
        blank = torch.zeros(1, 3, _PROBE, _PROBE, device=like.device, dtype=like.dtype)
        _, features = restore(restorer, blank, name)
    restorer.train(training)
    stride = max(1, round(_PROBE / features.shape[2]))
    return Shape(features.shape[1], stride, like.device)
