"""LPIPS of two images (Zhang et al. 2018), computed by torchmetrics."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from noiseda.errors import ModelFileError, NoiseDAError
from noiseda.evaluation.metrics import to_8_bit
from noiseda.evaluation.protocols import Metric

if TYPE_CHECKING:
    from torch import Tensor, nn

Backbone = Literal["alex", "vgg"]

EXTRA = "LPIPS needs torchmetrics and torchvision; install them with: pip install 'noiseda[lpips]'"
# names of the backbones, and the shape of the first weights by which a file tells which it is
_FIRST = "features.0.weight"
_SHAPES: dict[Backbone, tuple[int, ...]] = {"alex": (64, 3, 11, 11), "vgg": (64, 3, 3, 3)}
# below this side a layer has no pixel left
_LEAST = {"alex": 31, "vgg": 16}


def lpips(weights: Path | None = None) -> Metric:
    """LPIPS as a metric of RGB images, of the same 8-bit values whatever the protocol.

    The two images are clamped to [0, 1], rounded to 8 bits and brought to [−1, 1]. The linear
    layers (version 0.1) come with torchmetrics. The backbone's weights are torchvision's for
    ImageNet and do not: AlexNet's are downloaded unless a file is given.

    Args:
        weights: state dict of torchvision's AlexNet or VGG-16, `.pth` or `.safetensors`; which of
            them, its shapes tell.

    Returns:
        A metric, 0 for identical images; NaN where a side is below 31 (AlexNet) or 16 (VGG) pixels.

    Raises:
        NoiseDAError: torchmetrics or torchvision is missing, the download failed.
        ModelFileError: the file is damaged or of another network.
    """
    try:
        # torchmetrics asks for it only when a network is built
        importlib.import_module("torchvision")
        from torchmetrics.functional.image.lpips import _NoTrainLpips as Network
    except ImportError:
        raise NoiseDAError(EXTRA) from None
    if weights is not None:
        state = _read(weights)
        kind = _kind(state, weights)
        network = Network(net=kind, pnet_rand=True)
        _load(network.net, state, weights)
    else:
        kind = "alex"
        try:
            network = Network(net=kind)
        except Exception as error:
            # an address that cannot be reached, a disk that is full, a download cut off
            raise NoiseDAError(
                f"cannot download the weights of AlexNet for LPIPS ({error}); give a file with "
                "torchvision's AlexNet or VGG-16 with --lpips-weights"
            ) from None
    return Metric(_Lpips(network, _LEAST[kind]), f"LPIPS ({kind})", higher_is_better=False)


class _Lpips:
    def __init__(self, network: nn.Module, least: int) -> None:
        self.network = network.eval()
        self.least = least

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        import torch

        if min(restored.shape[-2:]) < self.least:
            return restored.new_full((len(restored),), float("nan")).double()
        self.network.to(restored.device)
        pairs = zip(to_8_bit(restored).float(), to_8_bit(clean).float(), strict=True)
        # one at a time: a batch's features would need so many times the memory
        values = [self.network(a[None], b[None], normalize=True).view(()) for a, b in pairs]
        return torch.stack(values).double()


def _read(path: Path) -> Mapping[str, Tensor]:
    """A state dict; nothing in the file is executed."""
    import safetensors.torch
    import torch

    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; --lpips-weights takes torchvision's AlexNet")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        # damaged bytes make the unpickler stumble in any way
        raise ModelFileError(
            f"{path}: no file of weights alone, or damaged; download it again"
        ) from None
    if not isinstance(state, Mapping):
        raise ModelFileError(f"{path}: not a state dict; give torchvision's AlexNet or VGG-16")
    return state


def _kind(state: Mapping[str, Tensor], path: Path) -> Backbone:
    shape = tuple(getattr(state.get(_FIRST), "shape", ()))
    for kind, known in _SHAPES.items():
        if shape == known:
            return kind
    raise ModelFileError(
        f"{path}: weights of neither AlexNet nor VGG-16 ({_FIRST} is "
        f"{list(shape) or 'missing'}); give torchvision's state dict"
    )


def _load(backbone: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Give every layer its weights; `slice1.0.weight` of the backbone is `features.0.weight`."""
    wanted = {name: f"features.{name.split('.', 1)[1]}" for name, _ in backbone.named_parameters()}
    try:
        backbone.load_state_dict({name: state[source] for name, source in wanted.items()})
    except KeyError as error:
        raise ModelFileError(f"{path}: lacks the weights {error}") from None
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path}: the weights do not fit the backbone: {reason}") from None
