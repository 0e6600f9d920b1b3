"""Cut a large image into tiles that a network restores exactly as it would the whole.

Tiles overlap by the network's receptive radius, start at multiples of its size multiple and know
their place in the whole (`networks.Place`), so nothing tells afterwards where a tile ended.

A network whose every pixel depends on the whole image has no such tiles. What it makes of parts,
blended into each other, is near to what it makes of the whole, but not equal.
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
        multiple: of the network's sizes; the cores of exact tiles are multiples of it.
        exact: whether the result is that of the whole; if not, tiles must be blended.
    """

    height: int
    width: int
    core: tuple[int, int]
    margin: int
    multiple: int
    exact: bool = True

    @classmethod
    def plan(cls, height: int, width: int, spec: Spec, memory: int) -> Tiling:
        """The cut with the fewest computed pixels whose tiles fit into `memory` bytes.

        Raises:
            OptionError: not even the smallest tile fits, or the network cannot be tiled.
        """
        per_pixel = spec.bytes_per_pixel * _OVERHEAD
        most = int(memory / per_pixel)
        full = spec.padded(height, width)
        if full[0] * full[1] <= most:
            return cls(height, width, full, 0, spec.size_multiple)
        least = full
        if spec.receptive_radius is not None:
            found = cls._exact(height, width, spec, most)
            if found is not None:
                return found
            side = spec.size_multiple + 2 * _up(spec.receptive_radius, spec.size_multiple)
            least = (min(side, full[0]), min(side, full[1]))
        if spec.tile_margin is not None:
            found = cls._approximate(height, width, spec, spec.tile_margin, most)
            if found is not None:
                return found
            side = _smallest(spec, spec.tile_margin)
            least = spec.padded(min(side, least[0]), min(side, least[1]))
        need = shown_size(least[0] * least[1] * per_pixel)
        if spec.receptive_radius is None and spec.tile_margin is None:
            raise OptionError(
                f"a {width}×{height} image needs {need} at once with this network, which cannot "
                f"be tiled; allow --memory {need} or reduce the image"
            )
        raise OptionError(
            f"the smallest tile of this network is {least[1]}×{least[0]} pixels and needs about "
            f"{need}, but the memory budget is {shown_size(memory)}; allow --memory {need}"
        )

    @classmethod
    def _exact(cls, height: int, width: int, spec: Spec, most: int) -> Tiling | None:
        """Tiles of at most `most` pixels that give what the whole gives; None if none are small
        enough."""
        assert spec.receptive_radius is not None
        multiple = spec.size_multiple
        full = spec.padded(height, width)
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
        return None if best is None else cls(height, width, best[1], margin, multiple)

    @classmethod
    def _approximate(
        cls, height: int, width: int, spec: Spec, margin: int, most: int
    ) -> Tiling | None:
        """Tiles of at most `most` pixels, as large and as square as may be, to be blended; None
        if they would be too small for that."""
        multiple = spec.size_multiple
        full = spec.padded(height, width)
        side = math.isqrt(most) // multiple * multiple
        tile = (side, side)
        if not spec.square and side >= multiple:
            # of a narrow image, longer ones
            across = min(side, full[1])
            along = min(most // across // multiple * multiple, full[0])
            tile = (along, min(most // along // multiple * multiple, full[1]))
        least = _smallest(spec, margin)
        if any(size < min(least, whole) for size, whole in zip(tile, full, strict=True)):
            return None
        core = tuple(
            size if outer >= size else -(-size // -(-size // (outer - 2 * margin)))
            for outer, size in zip(tile, (height, width), strict=True)
        )
        return cls(height, width, (core[0], core[1]), margin, multiple, exact=False)

    def tiles(self) -> Iterator[Tile]:
        """The tiles, left to right and top to bottom; their cores cover each pixel once."""
        # what is blended has no use for its place, which then need not be a multiple
        full_height, full_width = _up(self.height, self.multiple), _up(self.width, self.multiple)
        for core_rows in self._cores(self.core[0], self.height):
            rows = self._outer(core_rows, self.height)
            for core_columns in self._cores(self.core[1], self.width):
                columns = self._outer(core_columns, self.width)
                place = Place(rows[0], columns[0], full_height, full_width)
                yield Tile(rows, columns, core_rows, core_columns, place)

    def _cores(self, core: int, size: int) -> list[tuple[int, int]]:
        """(start, stop) along one axis."""
        if self.exact:
            return [(start, min(start + core, size)) for start in range(0, size, core)]
        # equally long: the last one must not be shorter than what is blended
        count = -(-size // core)
        return [(i * size // count, (i + 1) * size // count) for i in range(count)]

    def _outer(self, core: tuple[int, int], size: int) -> tuple[int, int]:
        return max(core[0] - self.margin, 0), min(core[1] + self.margin, size)

    def __len__(self) -> int:
        return -(-self.height // self.core[0]) * -(-self.width // self.core[1])


def _smallest(spec: Spec, margin: int) -> int:
    """Least side of a tile that is to be blended: half of it is its own."""
    return spec.padded(4 * margin, 4 * margin)[0]


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def shown_size(size: float) -> str:
    """Bytes as `--memory` takes them, rounded up."""
    unit, name = (2**20, "MB") if size >= 2**20 else (2**10, "KB")
    return f"{math.ceil(size / unit)}{name}"
