"""The self-taught objective: its targets, its terms, and the photos as content."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda import adaptation, networks
from noiseda.errors import OptionError


class Leftwards(nn.Module):
    """Moves every column one place to the left: what it does is mirrored by a mirror."""

    def forward(self, image: Tensor) -> Tensor:
        return image.roll(-1, dims=3)


class Halved(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image / 2


def objective(**options: Any) -> adaptation.SelfTaught:
    found = adaptation.build("self-taught", **options)
    assert isinstance(found, adaptation.SelfTaught)
    return found


def photo(height: int = 8, width: int = 12) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_the_mean_is_over_what_looks_alike() -> None:
    image = photo()
    left, right = image.roll(-1, dims=3), image.roll(1, dims=3)
    torch.testing.assert_close(
        objective(turns="mirror").teach(Leftwards(), image), (left + right) / 2
    )
    up, down = image.roll(-1, dims=2), image.roll(1, dims=2)
    mean = (left + right + up + down) / 4
    torch.testing.assert_close(objective(turns="all").teach(Leftwards(), image), mean)


def test_passes() -> None:
    image = photo()
    torch.testing.assert_close(objective(passes=3).teach(Halved(), image), image / 8)


def test_terms_add_up_and_reach_all_weights() -> None:
    torch.manual_seed(0)
    network = networks.build("unet", width=2, depth=2, upsampling="half-pixel")
    batch = {name: photo(16, 16) for name in ("clean", "synthetic", "real")}
    batch["taught"] = batch["clean"].flip(3)
    terms = objective(distill=0.5)(network, batch)
    vanilla = adaptation.build("vanilla")(network, batch)
    torch.testing.assert_close(terms["restoration"], vanilla["loss"])
    torch.testing.assert_close(terms["loss"], terms["restoration"] + 0.5 * terms["distillation"])
    terms["loss"].backward()
    assert all(weight.grad is not None for weight in network.parameters())
    signed = objective(value_range="signed")(network, batch)
    assert 1.5 * terms["distillation"] < signed["distillation"] <= 2 * terms["distillation"]


def test_content_of_photos_needs_no_clean_images() -> None:
    assert objective().from_source
    assert not objective(content="photos").from_source


def test_refused_options() -> None:
    for options in ({"turns": "upside-down"}, {"passes": 0}, {"rounds": 0}):
        with pytest.raises(OptionError):
            adaptation.build("self-taught", **options)
