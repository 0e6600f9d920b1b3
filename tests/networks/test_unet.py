"""The U-Net: value ranges, bands, receptive radius, resampling, the paper's size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from noiseda import networks, runtime
from noiseda.networks import Place, RestorationNetwork
from noiseda.networks.resampling import upsample
from tests.networks.small import VERSIONS, build, image, largest_difference

every_unet = pytest.mark.parametrize(
    ("name", "options"), [version for version in VERSIONS if version.values[0] == "unet"]
)


@pytest.mark.parametrize("upsampling", ["aligned", "half-pixel"])
def test_signed_works_on_twice_x_minus_one(upsampling: str) -> None:
    options = {"width": 3, "depth": 3, "upsampling": upsampling}
    signed = build("unet", {**options, "value_range": "signed"})
    unit = build("unet", options)
    unit.load_state_dict(signed.state_dict())
    # the published derain and deblur models: images in [−1, 1], input plus residual
    degraded = image(1, 3, 16, 24)
    inside = 2 * degraded - 1
    expected = (inside + signed.body(inside) + 1) / 2
    assert largest_difference(signed(degraded), expected) < 1e-6
    assert largest_difference(unit(degraded), degraded + unit.body(degraded)) < 1e-6
    assert largest_difference(unit(degraded), expected) > 1e-3
    assert signed.spec.value_range == "signed"
    assert unit.spec.value_range == "unit"


@every_unet
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_bands_change_nothing(
    name: str, options: dict[str, Any], layout: torch.memory_format
) -> None:
    network = runtime.fast_layout(build(name, options))
    calls: list[int] = []
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_hook(lambda *_: calls.append(1))
    for size in [(200, 20), (131, 9), (16, 40), (530, 1)]:
        degraded = image(2, 3, *size).contiguous(memory_format=layout)
        whole = network(degraded)
        assert whole.requires_grad
        assert len(calls) == 1
        with torch.no_grad():
            banded = network(degraded)
        assert not banded.requires_grad
        assert largest_difference(whole, banded) < 1e-5
        # a tall image must have been cut, or this compares nothing
        assert len(calls) > 2 or size[0] < 100
        calls.clear()


def reach(network: RestorationNetwork, length: int, axis: int) -> int:
    """Farthest input pixel along `axis` that changes an output pixel, over many output pixels.

    All weights are positive and constant, so that no influence cancels.
    """
    network = network.double()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]
    shape = [1, 3, 1, 1]
    shape[axis] = length
    degraded = torch.ones(shape, dtype=torch.float64, requires_grad=True)
    residual = (network(degraded) - degraded).sum(dim=1).flatten()
    step = network.spec.size_multiple
    farthest = 0
    # all places on the coarsest grid, at the ends (where aligned corners shift most) and between
    starts = [quarter * (length - step) // 4 // step * step for quarter in range(5)]
    for position in (start + offset for start in starts for offset in range(step)):
        (gradient,) = torch.autograd.grad(residual[position], degraded, retain_graph=True)
        touched = gradient.sum(dim=1).flatten().nonzero().flatten()
        farthest = max(farthest, position - int(touched[0]), int(touched[-1]) - position)
    return farthest


@pytest.mark.parametrize("upsampling", ["aligned", "half-pixel"])
@pytest.mark.parametrize(("depth", "length"), [(1, 64), (2, 128), (3, 256), (4, 512), (5, 768)])
def test_receptive_radius_is_a_tight_bound(upsampling: str, depth: int, length: int) -> None:
    network = networks.build("unet", width=1, depth=depth, upsampling=upsampling)
    radius = network.spec.receptive_radius
    assert radius is not None
    assert radius < length // 4, "the image must be longer than what is measured"
    for axis in (2, 3):
        assert radius - 16 <= reach(network, length, axis) <= radius


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4), (12, 9)])
def test_doubling_at_a_place_is_torch_doubling(size: tuple[int, int]) -> None:
    small = image(2, 3, *size)
    whole = Place(0, 0, *size)
    for mode in ("aligned", "half-pixel"):
        assert largest_difference(upsample(small, mode, whole), upsample(small, mode, None)) < 1e-6
    if min(size) > 3:
        part = upsample(small[:, :, 1:-1, 1:], "aligned", Place(1, 1, *size))
        expected = upsample(small, "aligned", None)[:, :, 2:-2, 2:]
        # all but one pixel at the inner borders
        assert largest_difference(part[:, :, 1:-1, 1:], expected[:, :, 1:-1, 1:]) < 1e-6


def test_the_papers_size() -> None:
    network = networks.build("unet")
    assert round(network.spec.parameters / 1e6, 3) == 8.559
    assert network.options == {
        "width": 64,
        "depth": 4,
        "upsampling": "aligned",
        "value_range": "unit",
    }
    assert network.spec.size_multiple == 8
    with networks.without_memory():
        assert round(networks.macs(networks.build("unet")) / 1e9, 2) == 12.44
