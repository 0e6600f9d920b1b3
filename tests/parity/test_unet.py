"""The restoration U-Net computes what the published code computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from noiseda import networks, runtime
from noiseda.networks import RestorationNetwork

FIXTURE = Path(__file__).parent / "unet.safetensors"


@pytest.fixture(scope="module")
def published() -> tuple[RestorationNetwork, Tensor, Tensor]:
    """The network with the fixture's weights, its input and its residual."""
    fixture = load_file(FIXTURE)
    network = networks.build("unet", width=8, depth=4, upsampling="aligned")
    weights = {n.removeprefix("weight."): v for n, v in fixture.items() if n.startswith("weight.")}
    network.body.load_state_dict(weights, strict=True)
    return network, fixture["input"], fixture["output"]


def test_residual(published: tuple[RestorationNetwork, Tensor, Tensor]) -> None:
    network, degraded, residual = published
    assert (network.body(degraded) - residual).abs().max() < 1e-5
    assert (network(degraded) - (degraded + residual)).abs().max() < 1e-5
    # far above the tolerance, or the comparison would say nothing
    assert residual.abs().max() > 1e-2


def test_residual_without_gradients(
    published: tuple[RestorationNetwork, Tensor, Tensor],
) -> None:
    network, degraded, residual = published
    fast = runtime.fast_layout(network)
    with torch.inference_mode():
        restored = fast(degraded.contiguous(memory_format=torch.channels_last))
    assert (restored - (degraded + residual)).abs().max() < 1e-5


def test_other_upsampling_is_another_function(
    published: tuple[RestorationNetwork, Tensor, Tensor],
) -> None:
    network, degraded, residual = published
    other = networks.build("unet", width=8, depth=4, upsampling="half-pixel")
    other.load_state_dict(network.state_dict())
    assert (other.body(degraded) - residual).abs().max() > 1e-4
