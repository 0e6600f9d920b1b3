"""What a restoration network can take, and where a tile lies in its whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ValueRange = Literal["unit", "signed"]


@dataclass(frozen=True)
class Spec:
    """Description of a restoration network.

    Attributes:
        size_multiple: height and width inside the network are multiples of this; the wrapper pads.
        receptive_radius: farthest input pixel, in pixels, that can change an output pixel; None
            if every pixel sees the whole image (such a network cannot be tiled exactly).
        value_range: "unit" if the network works on [0, 1] inside, "signed" for [-1, 1].
        parameters: number of trainable parameters.
        bytes_per_pixel: memory for activations, in bytes for each input pixel, while restoring
            in float32 without gradients.
        minimum_size: height and width inside the network are at least this; the wrapper pads.
        square: whether height and width inside the network must be equal; the wrapper pads.
        tile_margin: of a network that cannot be tiled exactly: how far tiles of an image that is
            too large for the memory overlap on each side, in pixels, and are blended into each
            other; None if such an image is refused.
    """

    size_multiple: int
    receptive_radius: int | None
    value_range: ValueRange
    parameters: int
    bytes_per_pixel: int
    minimum_size: int = 1
    square: bool = False
    tile_margin: int | None = None

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Height and width inside the network of an image of this size."""
        return padded(height, width, self.size_multiple, self.minimum_size, self.square)


def padded(height: int, width: int, multiple: int, minimum: int, square: bool) -> tuple[int, int]:
    """See `Spec.padded`."""
    height, width = (-(-max(size, minimum) // multiple) * multiple for size in (height, width))
    if square:
        height = width = max(height, width)
    return height, width


@dataclass(frozen=True)
class Place:
    """Where a tile lies in the whole image, in pixels. All four are multiples of the network's
    `size_multiple`: the whole is counted with its padding.

    A network whose sampling positions depend on the size of the whole image (upsampling with
    aligned corners) computes the right function on a tile only if it knows this.
    """

    top: int
    left: int
    height: int
    width: int

    def at(self, scale: int) -> Place:
        """The same place on a grid that is `scale` times coarser."""
        return Place(
            self.top // scale, self.left // scale, self.height // scale, self.width // scale
        )
