"""Networks between two others."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from noiseda import networks
from noiseda.networks import interpolate


@pytest.mark.parametrize("share", [-0.5, 0.0, 0.25, 1.0, 2.0])
def test_weights_lie_on_the_line(share: float) -> None:
    first = networks.build("unet", width=2, depth=2)
    # a weight with two names is moved once; what is no number with a point is not moved
    first.body.register_module("again", next(first.body.children()))
    first.body.register_buffer("counted", torch.tensor(7))
    second = copy.deepcopy(first)
    for number, network in enumerate((first, second), 1):
        for weight in network.parameters():
            nn.init.constant_(weight, number)
    between = interpolate(first, second, share)
    assert all(torch.all(weight == 1 + share) for weight in between.parameters())
    assert int(between.state_dict()["body.counted"]) == 7
    # those it lies between stay
    assert all(torch.all(weight == 1) for weight in first.parameters())
    assert all(torch.all(weight == 2) for weight in second.parameters())
