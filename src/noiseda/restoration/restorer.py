"""A trained network as a function from image to image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from noiseda import images, runtime
from noiseda.checkpoint import ModelInfo, open_model
from noiseda.errors import OptionError
from noiseda.networks import RestorationNetwork, Spec
from noiseda.restoration.blending import Blending
from noiseda.restoration.tiling import Tile, Tiling

Advance = Callable[[int], None]

# torch's words for a failed allocation, for which it has no type of its own on the CPU: on Linux,
# on Windows, on accelerators


def default_memory(held: int = 0) -> int:
    """Bytes for activations if nobody says: 1.25 GiB, or half of what is free if less, minus
    what a large photo itself takes.

    Args:
        held: bytes of the photo's pixels; they exist about four times, as read, as restored and
            while the result is encoded.
    """
    most = min(5 * 2**28, psutil.virtual_memory().available // 2)
    return max(most - 4 * held, most // 4)


class Restorer:
    """Restores images; made by `load`.

    Call it with an image and get the restored image of the same kind back:

    - numpy H×W, H×W×1, H×W×3 or H×W×4 (the last channel is alpha and is kept), `uint8`, `uint16`,
      or floating point in [0, 1];
    - torch B×3×H×W, floating point in [0, 1].

    Results are clamped to the range of the kind. Images are RGB, any size from 1×1 up; those that
    do not fit into `memory` are computed in overlapping tiles, with the same result if the network
    allows it; else the tiles are blended (see `Spec.tile_margin`), and `tiling` says so.

    Args:
        network: the restoration network, on the CPU.
        info: what its file says about it.
        device: where to compute; the accelerator if there is one.
        memory: bytes that the activations may take; see `default_memory`.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        info: ModelInfo,
        device: str | torch.device | None = None,
        memory: int | None = None,
    ) -> None:
        self.info = info
        self.device = _usable(device) if device is not None else runtime.best_device()
        self.memory = memory
        self._network = runtime.fast_layout(network.to(self.device)).eval()

    @property
    def spec(self) -> Spec:
        return self._network.spec

    def __call__(self, image: Any, strength: float = 1.0) -> Any:
        """Restore one image, see the class.

        Args:
            image: numpy or torch image.
            strength: 1 for the restored image, 0 for the input, between for a mixture.

        Raises:
            OptionError: an image of another type, shape or range, a strength outside [0, 1], a
                memory budget below the smallest tile or above what there is.
        """
        if isinstance(image, Tensor):
            return self._tensor(image, strength)
        if isinstance(image, np.ndarray):
            return self._array(image, strength)
        raise OptionError(f"expected a numpy or torch image, got {type(image).__name__}")

    def _tensor(self, image: Tensor, strength: float) -> Tensor:
        if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
            raise OptionError(
                f"expected a floating-point B×3×H×W tensor, got {image.dtype} {tuple(image.shape)}"
            )
        if not image.numel():
            raise OptionError(f"the image is empty: {tuple(image.shape)}")
        low, high = (float(value) for value in image.detach().aminmax())
        # noise leaves [0, 1], but not by so much
        if not (low >= -2 and high <= 3):
            raise OptionError(
                f"expected values in [0, 1], got {low:g} to {high:g}; divide by the largest value"
            )
        output = torch.empty_like(image)
        for one, restored in zip(image.split(1), output.split(1), strict=True):
            self._tiles(
                one.shape[2:],
                lambda rows, columns, one=one: one[..., slice(*rows), slice(*columns)].float(),
                lambda rows, columns, tile, restored=restored: restored[
                    ..., slice(*rows), slice(*columns)
                ].copy_(tile.clamp(0, 1)),
                strength,
            )
        return output

    def _array(self, image: np.ndarray, strength: float) -> np.ndarray:
        floating = np.issubdtype(image.dtype, np.floating)
        if not floating and image.dtype not in (np.uint8, np.uint16):
            raise OptionError(
                f"expected uint8, uint16 or floating point in [0, 1], got {image.dtype}"
            )
        shape = image.shape
        if image.ndim == 2:
            image = image[:, :, None]
        if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
            raise OptionError(f"expected H×W, H×W×1, H×W×3 or H×W×4, got {shape}")
        output = image.copy()
        if floating:
            colour = np.broadcast_to(image[:, :, :3], (*image.shape[:2], 3))
            # a copy, because torch warns of memory that it may not write to
            batch = torch.from_numpy(np.array(colour, np.float32, order="C"))
            restored = self._tensor(batch.permute(2, 0, 1)[None], strength)
            result = restored[0].permute(1, 2, 0).numpy()
        else:
            colour = np.broadcast_to(image[:, :, :3], (*image.shape[:2], 3))
            result = self.pixels(colour, strength)
        if image.shape[2] == 1:
            mean = result.mean(axis=2, keepdims=True)
            result = mean if floating else np.rint(mean)
        output[:, :, :3] = result
        return output.reshape(shape)

    def pixels(
        self, pixels: np.ndarray, strength: float = 1.0, advance: Advance | None = None
    ) -> np.ndarray:
        """Restore an H×W×3 uint8 or uint16 array, tile by tile, never as floats as a whole.

        Args:
            pixels: RGB.
            strength: see `__call__`.
            advance: called after each tile with the number of pixels done.
        """
        output = np.empty_like(pixels)

        def read(rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
            return images.to_tensor(pixels[slice(*rows), slice(*columns)])

        def write(rows: tuple[int, int], columns: tuple[int, int], tile: Tensor) -> None:
            output[slice(*rows), slice(*columns)] = images.to_pixels(tile, pixels.dtype)
            if advance:
                advance((rows[1] - rows[0]) * (columns[1] - columns[0]))

        self._tiles(pixels.shape[:2], read, write, strength, held=pixels.nbytes)
        return output

    def tiling(self, height: int, width: int, held: int = 0) -> Tiling:
        """How an image of this size will be cut.

        Args:
            height, width: in pixels.
            held: see `default_memory`.

        Raises:
            OptionError: the memory budget is too small for it.
        """
        memory = self.memory if self.memory is not None else default_memory(held)
        return Tiling.plan(height, width, self.spec, memory)

    @torch.inference_mode()
    def _tiles(
        self,
        size: tuple[int, ...],
        read: Callable[..., Tensor],
        write: Callable[..., Any],
        strength: float,
        held: int = 0,
    ) -> None:
        if not 0 <= strength <= 1:
            raise OptionError(f"strength must be between 0 and 1, not {strength}")
        tiling = self.tiling(size[0], size[1], held)
        blending = None if tiling.exact else Blending(tiling, write)
        shape = None
        for tile in tiling.tiles():
            if shape not in (None, tile.shape):
                # buffers of another size would only add to the new ones
                runtime.release_unused()
            shape = tile.shape
            with _allocating(tile):
                degraded = read(tile.rows, tile.columns).to(
                    self.device, memory_format=torch.channels_last
                )
                place = tile.place if tiling.exact else None
                restored = self._network(degraded, place)
                if strength != 1:
                    restored = degraded.lerp(restored, strength)
            if blending:
                blending.add(tile, restored)
                continue
            top, left = tile.rows[0], tile.columns[0]
            core = restored[
                ...,
                tile.core_rows[0] - top : tile.core_rows[1] - top,
                tile.core_columns[0] - left : tile.core_columns[1] - left,
            ]
            write(tile.core_rows, tile.core_columns, core.cpu())


@contextmanager
def _allocating(tile: Tile) -> Iterator[None]:
    """Tell a failed allocation as what the user can change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not runtime.out_of_memory(error):
            raise
        height, width = tile.shape
        raise OptionError(
            f"out of memory at a tile of {width}×{height} pixels; allow less with --memory"
        ) from None


def _usable(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.empty(1, device=found).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OptionError(f"device {str(device)!r} cannot be used here: {reason}") from None
    return found


def load(
    path: str | Path,
    *,
    task: str | None = None,
    device: str | torch.device | None = None,
    memory: int | None = None,
) -> Restorer:
    """Open a model file, or a run folder that holds one.

    Args:
        path: `model.safetensors`, a folder that holds one, a published `.pth`, or a weights file of
            another program (see `checkpoint.open_model`).
        task: "denoise", "derain" or "deblur", if the file must be for that; a published file
            takes its value range from it.
        device: where to compute; the accelerator if there is one.
        memory: bytes that the activations may take; see `default_memory`.

    Returns:
        A `Restorer`; `.spec` describes the network, `.info` the file.

    Raises:
        ModelFileError: the file is missing, wrong, truncated, unsafe, or of another task.
        OptionError: the device is not there.
    """
    network, info = open_model(path, task)
    return Restorer(network, info, device, memory)
