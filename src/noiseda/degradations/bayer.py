"""Bayer mosaic and demosaicing by small linear filters."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Filter = Literal["malvar", "bilinear"]

MARGIN = 2
"""Pixels that `demosaic` takes off each side of the mosaic."""

# colour (0 red, 1 green, 2 blue) of the sites: red, green in red rows, green in blue rows, blue
_COLOUR = torch.tensor([0, 1, 1, 2])

# which of the planes (0 the mosaic, 1 cross, 2 row, 3 column, 4 diagonal) gives R, G, B at a site
_PLANE = torch.tensor([[0, 1, 4], [2, 0, 3], [3, 0, 2], [4, 1, 0]])


def _kernels(kind: Filter) -> Tensor:
    """5×1×5×5: the filters of the planes named above."""
    same = torch.zeros(5, 5)
    same[2, 2] = 1
    cross, row, diagonal = torch.zeros(3, 5, 5)
    cross[[1, 3, 2, 2], [2, 2, 1, 3]] = 1 / 4
    row[2, [1, 3]] = 1 / 2
    diagonal[[1, 1, 3, 3], [1, 3, 1, 3]] = 1 / 4
    if kind == "malvar":
        # the bilinear estimate plus a share of the Laplacian of the colour measured at the site:
        # ½, ⅝ and ¾ (Malvar, He, Cutler 2004, equations 2 to 5)
        far = torch.zeros(5, 5)
        far[[0, 4, 2, 2], [2, 2, 0, 4]] = 1 / 4
        along = torch.zeros(5, 5)
        along[2, [0, 4]] = 0.2
        along[[0, 4], 2] = -0.1
        along[[1, 1, 3, 3], [1, 3, 1, 3]] = 0.2
        cross += 1 / 2 * (same - far)
        row += 5 / 8 * (same - along)
        diagonal += 3 / 4 * (same - far)
    return torch.stack([same, cross, row, row.T, diagonal])[:, None]


_KERNELS: dict[str, Tensor] = {"malvar": _kernels("malvar"), "bilinear": _kernels("bilinear")}


def sites(phase: Tensor, height: int, width: int) -> Tensor:
    """The site of each pixel of an RGGB sensor.

    Args:
        phase: B integers in 0..3; which of the four pixels of the pattern (red, green, green,
            blue) is at the top left.

    Returns:
        B×height×width integers: 0 red, 1 green in a red row, 2 green in a blue row, 3 blue.
    """
    device = phase.device
    rows = (torch.arange(height, device=device) + phase[:, None] // 2) % 2
    columns = (torch.arange(width, device=device) + phase[:, None] % 2) % 2
    return 2 * rows[:, :, None] + columns[:, None, :]


def mosaic(image: Tensor, site: Tensor) -> Tensor:
    """Keep the colour that each site measures: B×3×H×W and B×H×W sites to B×1×H×W."""
    return image.gather(1, _COLOUR.to(image.device)[site][:, None])


def demosaic(raw: Tensor, site: Tensor, kind: Filter = "malvar") -> Tensor:
    """Interpolate the two colours missing at each site.

    Constant colours come back exactly. Linear in `raw`. The Malvar filters expect
    white-balanced values.

    Args:
        raw: B×1×H×W mosaic with H, W > 2·`MARGIN`.
        site: B×H×W, see `sites`.
        kind: "malvar", gradient-corrected 5×5 filters (Malvar, He, Cutler, ICASSP 2004), or
            "bilinear".

    Returns:
        B×3×(H − 2·MARGIN)×(W − 2·MARGIN), not clamped.
    """
    planes = F.conv2d(raw, _KERNELS[kind].to(raw.device))
    inner = site[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    plane = _PLANE.to(raw.device)[inner].movedim(-1, 1)
    return planes.gather(1, plane)
