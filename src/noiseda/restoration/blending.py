"""Join tiles that are not exact, so that no border shows between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from noiseda.restoration.tiling import Tile, Tiling


class Blending:
    """Takes tiles in their order and hands on rows of pixels that are done. Where two tiles
    overlap, one fades into the other, linearly, over the half of the overlap that is farthest
    from both tiles' borders.

    Args:
        tiling: of the image.
        write: called with the rows as (start, stop), the columns, and 1×3×h×w.
    """

    def __init__(self, tiling: Tiling, write: Callable[..., Any]) -> None:
        self.tiling = tiling
        self.write = write
        self._reach = tiling.margin // 2
        # the current row of tiles, and the last rows of the one above
        self._row: Tensor | None = None
        self._above: Tensor | None = None

    def add(self, tile: Tile, restored: Tensor) -> None:
        """The next tile, 1×3×h×w."""
        rows, top, bottom = self._used(tile.core_rows, self.tiling.height)
        columns, left, right = self._used(tile.core_columns, self.tiling.width)
        part = restored[
            ...,
            rows[0] - tile.rows[0] : rows[1] - tile.rows[0],
            columns[0] - tile.columns[0] : columns[1] - tile.columns[0],
        ].float()
        if self._row is None:
            self._row = torch.zeros(1, 3, rows[1] - rows[0], self.tiling.width)
        share = _fading(columns[1] - columns[0], left, right)
        self._row[..., columns[0] : columns[1]] += part.cpu() * share
        if tile.core_columns[1] == self.tiling.width:
            self._finish(self._row, rows, top, bottom)

    def _used(self, core: tuple[int, int], size: int) -> tuple[tuple[int, int], int, int]:
        """What is used of a tile along one axis, and how many pixels of that fade in at its start
        and out at its end."""
        rising = 2 * self._reach if core[0] > 0 else 0
        falling = 2 * self._reach if core[1] < size else 0
        return (core[0] - rising // 2, core[1] + falling // 2), rising, falling

    def _finish(self, row: Tensor, rows: tuple[int, int], top: int, bottom: int) -> None:
        if top and self._above is not None:
            share = _fading(top, top, 0)[:, None]
            row[..., :top, :] = self._above.lerp(row[..., :top, :], share)
        self._above = row[..., row.shape[2] - bottom :, :].clone() if bottom else None
        self._row = None
        done = row[..., : row.shape[2] - bottom, :]
        self.write((rows[0], rows[1] - bottom), (0, self.tiling.width), done)


def _fading(length: int, rising: int, falling: int) -> Tensor:
    """Shares of a tile in the result: `rising` ones from 0 to 1, ones, and `falling` from 1 to 0;
    with those of its neighbours they add up to 1."""
    share = torch.ones(length)
    if rising:
        share[:rising] = (torch.arange(rising) + 0.5) / rising
    if falling:
        share[length - falling :] = 1 - (torch.arange(falling) + 0.5) / falling
    return share
