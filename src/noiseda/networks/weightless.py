"""What a network costs, found out without computing: memory and multiplications of one pass."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from noiseda import runtime

# what weights are made by; others, such as linspace, give numbers that constructors look at
_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}


class _OnMeta(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _MAKERS:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


@contextmanager
def without_memory() -> Iterator[None]:
    """Within this context networks are built with shapes but without weights."""
    with _OnMeta():
        yield


class _Peak(TorchDispatchMode):
    """Largest sum of the bytes of what is computed and still held."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._note(value.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        self.held += storage.nbytes()
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._gone, key, storage.nbytes())

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.held -= size


@torch.no_grad()
def bytes_per_pixel(network: nn.Module, height: int, width: int) -> int:
    """Peak memory of a pass in float32 without gradients, in bytes for each input pixel; the
    weights and what the libraries below take for themselves are not counted.

    Args:
        network: built within `without_memory`.
        height, width: of the image to find it out with, such as the network takes.
    """
    network = runtime.fast_layout(network.to("meta")).eval()
    image = _blank(height, width)
    with _Peak() as found:
        network(image)
    # the image itself and the restored one, which the caller holds
    return round(found.peak / (height * width)) + 24


def macs(network: nn.Module, side: int = 128) -> int:
    """Multiplications (with their additions) of one pass over a `side`×`side` image, as it is in
    training: without gradients some networks compute what overlaps twice, to save memory.

    Args:
        network: built within `without_memory`.
    """
    network = network.to("meta").eval()
    counter = FlopCounterMode(display=False)
    with counter:
        network(_blank(side, side))
    return counter.get_total_flops() // 2


def _blank(height: int, width: int) -> Tensor:
    return torch.empty(1, 3, height, width, device="meta").to(memory_format=torch.channels_last)
