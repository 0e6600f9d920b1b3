"""Mosaic and demosaicing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from noiseda.degradations import bayer, build
from tests.degradations.conftest import SILENT, psnr, seeded


def test_phases_are_the_four_of_rggb() -> None:
    first = bayer.sites(torch.arange(4), 2, 2).flatten(1).tolist()
    assert first == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]


@pytest.mark.parametrize("kind", ["bilinear", "malvar"])
def test_demosaicing_keeps_samples_and_follows_gray_ramps(kind: bayer.Filter) -> None:
    rows, columns = torch.meshgrid(torch.arange(13.0), torch.arange(16.0), indexing="ij")
    ramp = (0.1 + 0.02 * rows + 0.03 * columns).expand(4, 3, -1, -1)
    site = bayer.sites(torch.arange(4), 13, 16)
    inner = slice(bayer.MARGIN, -bayer.MARGIN)
    result = bayer.demosaic(bayer.mosaic(ramp, site), site, kind)
    torch.testing.assert_close(result, ramp[..., inner, inner])
    image = torch.rand(4, 3, 13, 16, generator=seeded(12))
    raw = bayer.mosaic(image, site)
    kept = bayer.mosaic(bayer.demosaic(raw, site, kind), site[:, inner, inner])
    torch.testing.assert_close(kept, raw[..., inner, inner])


def test_malvar_is_sharper_than_bilinear(photos: list[Tensor]) -> None:
    clean = torch.stack(photos)
    bilinear, malvar = (
        psnr(build("camera", demosaic=kind, artifacts=True, **SILENT)(clean, seeded(13)), clean)
        for kind in ("bilinear", "malvar")
    )
    assert malvar > bilinear + 1
