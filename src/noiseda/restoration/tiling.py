"""Cut a large image into tiles that a network restores exactly as it would the whole.

Tiles overlap by the network's receptive radius, start at multiples of its size multiple and know
their place in the whole (`networks.Place`), so nothing tells afterwards where a tile ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from noiseda.errors import OptionError
from noiseda.networks import Place, Spec

# activations beside what `Spec.bytes_per_pixel` counts: workspaces of the convolution library and
# the allocator's unused gaps. Measured with the paper's U-Net, see benchmarks/.
_OVERHEAD = 1.5


@dataclass(frozen=True)
class Tile:
    """A tile: the pixels it reads and the part of them it is exact for, as (start, stop)."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    core_rows: tuple[int, int]
    core_columns: tuple[int, int]
    place: Place

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the pixels it reads."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]


@dataclass(frozen=True)
class Tiling:
    """How an image of `height`×`width` pixels is cut.

    Attributes:
        core: height and width of the part each tile is exact for.
        margin: overlap on each side; 0 if one tile is the whole.
    """

    height: int
    width: int
    core: tuple[int, int]
    margin: int
    multiple: int

    @classmethod
    def plan(cls, height: int, width: int, spec: Spec, memory: int) -> Tiling:
        """The cut with the fewest computed pixels whose tiles fit into `memory` bytes.

        Raises:
            OptionError: not even the smallest tile fits, or the network cannot be tiled.
        """
        multiple = spec.size_multiple
        per_pixel = spec.bytes_per_pixel * _OVERHEAD
        most = int(memory / per_pixel)
        full = (_up(height, multiple), _up(width, multiple))
        if full[0] * full[1] <= most:
            return cls(height, width, full, 0, multiple)
        if spec.receptive_radius is None:
            need = shown_size(full[0] * full[1] * per_pixel)
            raise OptionError(
                f"a {width}×{height} image needs {need} at once with this network, which cannot "
                f"be tiled; allow --memory {need} or reduce the image"
            )
        margin = _up(spec.receptive_radius, multiple)
        best: tuple[int, tuple[int, int]] | None = None
        for columns in range(1, full[1] // multiple + 1):
            core_width = _up(-(-full[1] // columns), multiple)
            outer_width = min(core_width + 2 * margin, full[1])
            core_height = min(most // outer_width, full[0]) // multiple * multiple
            # a tile as high as the image has no inner border above or below
            if core_height < full[0]:
                core_height -= 2 * margin
            if core_height < multiple:
                continue
            rows = -(-full[0] // core_height)
            core_height = _up(-(-full[0] // rows), multiple)
            cost = rows * columns * min(core_height + 2 * margin, full[0]) * outer_width
            if best is None or cost < best[0]:
                best = (cost, (core_height, core_width))
        if best is None:
            least = multiple + 2 * margin
            side = (min(least, full[0]), min(least, full[1]))
            need = shown_size(side[0] * side[1] * per_pixel)
            raise OptionError(
                f"the smallest tile of this network is {side[1]}×{side[0]} pixels and needs about "
                f"{need}, but the memory budget is {shown_size(memory)}; allow --memory {need}"
            )
        return cls(height, width, best[1], margin, multiple)

    def tiles(self) -> Iterator[Tile]:
        """The tiles, left to right and top to bottom; their cores cover each pixel once."""
        full_height, full_width = _up(self.height, self.multiple), _up(self.width, self.multiple)
        for top in range(0, self.height, self.core[0]):
            rows, core_rows = self._span(top, self.core[0], self.height)
            for left in range(0, self.width, self.core[1]):
                columns, core_columns = self._span(left, self.core[1], self.width)
                place = Place(rows[0], columns[0], full_height, full_width)
                yield Tile(rows, columns, core_rows, core_columns, place)

    def _span(self, start: int, core: int, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
        stop = min(start + core, size)
        return (max(start - self.margin, 0), min(stop + self.margin, size)), (start, stop)

    def __len__(self) -> int:
        return -(-self.height // self.core[0]) * -(-self.width // self.core[1])


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def shown_size(size: float) -> str:
    """Bytes as `--memory` takes them, rounded up."""
    unit, name = (2**20, "MB") if size >= 2**20 else (2**10, "KB")
    return f"{math.ceil(size / unit)}{name}"
