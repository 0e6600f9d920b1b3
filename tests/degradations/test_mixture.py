"""One of several degradations for each sample."""

from __future__ import annotations

import pytest
import torch

from noiseda.degradations import build
from noiseda.errors import OptionError
from noiseda.random import generator

QUIET = {"name": "gaussian", "sigma": (5, 5)}
LOUD = {"name": "gaussian", "sigma": (50, 50)}


def test_every_part_gets_its_share() -> None:
    clean = torch.full((300, 3, 16, 16), 0.5)
    noisy = build("mixture", parts=[QUIET, QUIET, LOUD])(clean, generator(0))
    sigma = (255 * (noisy - clean)).std((1, 2, 3))
    loud = sigma > 25
    assert torch.allclose(sigma[loud], torch.tensor(50.0), rtol=0.15)
    assert torch.allclose(sigma[~loud], torch.tensor(5.0), rtol=0.15)
    assert 70 < int(loud.sum()) < 130


def test_what_is_wrong_with_a_part_is_said() -> None:
    for part, told in (
        ({"sigma": [0, 1]}, "without a name"),
        ({"name": "gausian"}, "gaussian"),
        ({"name": "gaussian", "sgma": [0, 1]}, "sigma"),
    ):
        with pytest.raises(OptionError, match=told):
            build("mixture", parts=[part])
    with pytest.raises(OptionError, match="parts"):
        build("mixture", parts=[])
