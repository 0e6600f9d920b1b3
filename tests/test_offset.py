"""What a network takes for the mean of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from noiseda.judgement import network_offset
from noiseda.judgement.offset import offset_at
from tests.measurement.conftest import as_photo


class Taking(nn.Module):
    """Takes away what depends on the brightness: 4 of 255 at black, -4 at white; of blue double."""

    def forward(self, image: Tensor) -> Tensor:
        amount = torch.tensor([1.0, 1.0, 2.0])[:, None, None] * 4 / 255
        # the restored image x is that for which x + amount·(1 - 2x) is the photo
        return (image - amount) / (1 - 2 * amount)


def gray(level: float) -> np.ndarray:
    return as_photo(np.full((64, 80, 3), level))


def test_by_brightness() -> None:
    found = 255 * network_offset(Taking(), [gray(level) for level in range(6, 250, 3)])
    middle = np.arange(1, 16) / 16
    expected = np.outer([1, 1, 2], 4 * (1 - 2 * middle))
    assert found.shape == (3, 17)
    # photos are rounded
    assert found[:, 1:-1] == pytest.approx(expected, abs=0.2)
    between = offset_at(found, torch.tensor([-0.5, 0.3, 0.7, 1.5]).expand(1, 3, 1, 4))[0, :, 0]
    assert between.numpy() == pytest.approx(
        np.stack([found[:, 0], *(np.outer([0.4, -0.4], [4, 4, 8])), found[:, -1]], 1), abs=0.2
    )


def test_brightnesses_that_no_photo_has() -> None:
    """As at the nearest one that is there; without any, nothing is known to be taken."""
    found = 255 * network_offset(Taking(), [gray(64)])
    assert found[0] == pytest.approx([2.0] * 17, abs=0.3)
    assert np.all(network_offset(Taking(), []) == 0)


def test_the_network_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout())
    network_offset(network, [gray(64)])
    assert network.training
