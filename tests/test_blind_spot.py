"""The blind-spot network: what each pixel sees, at any stride, in tiles and in refinement."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda import networks
from noiseda.checkpoint import ModelInfo
from noiseda.networks import BlindSpot, RestorationNetwork
from noiseda.networks.blind_spot import _PERIOD, _pattern
from noiseda.restoration import Restorer


def build(**options: Any) -> RestorationNetwork:
    torch.manual_seed(3)
    return networks.build("blind-spot", **{"width": 4, "depth": 2, **options})


def body(network: RestorationNetwork) -> BlindSpot:
    assert isinstance(network.body, BlindSpot)
    return network.body


def image(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def seen(network: RestorationNetwork, size: int, row: int, column: int) -> Tensor:
    """Which input pixels change an output pixel: size×size booleans. Weights and inputs are
    positive, so that no influence cancels or dies."""
    network = network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    degraded = (0.6 + 0.4 * image(size, size)).double().requires_grad_()
    network(degraded)[0, :, row, column].sum().backward()
    assert degraded.grad is not None
    return degraded.grad[0].abs().sum(dim=0) > 0


@pytest.mark.parametrize("value_range", ["unit", "signed"])
@pytest.mark.parametrize("place", [(20, 21), (0, 0), (39, 3)])
def test_all_neighbours_but_not_the_pixel(value_range: str, place: tuple[int, int]) -> None:
    found = seen(build(stride=1, value_range=value_range), 40, *place)
    assert not found[place]
    near = found[max(place[0] - 3, 0) : place[0] + 4, max(place[1] - 3, 0) : place[1] + 4]
    assert int(near.sum()) == near.numel() - 1


@pytest.mark.parametrize("stride", [2, 3])
def test_with_a_stride_it_sees_pixels_of_its_own_phase_alone(stride: int) -> None:
    size = 24 * stride
    row, column = 11 * stride + 1, 13 * stride
    found = seen(build(stride=stride), size, row, column)
    assert not found[row, column]
    phase = torch.zeros_like(found)
    phase[row % stride :: stride, column % stride :: stride] = True
    assert not (found & ~phase).any()
    assert found[row + stride, column]
    assert found[row - stride, column + stride]


@pytest.mark.parametrize(("depth", "stride"), [(1, 1), (3, 1), (2, 2), (1, 4)])
def test_receptive_radius(depth: int, stride: int) -> None:
    network = build(depth=depth, stride=stride)
    radius, size = network.spec.receptive_radius, 30 * stride
    assert radius is not None
    found = seen(network, size, size // 2, size // 2).nonzero()
    assert int((found - size // 2).abs().max()) == radius


def test_a_stride_for_a_while() -> None:
    network, degraded = build(stride=2, refinement=2), image(30, 30)
    usual = network(degraded)
    with body(network).at_stride(5):
        other = network(degraded)
    torch.testing.assert_close(other, build(stride=5)(degraded))
    assert not torch.allclose(other, usual)
    assert torch.equal(network(degraded), usual)
    with pytest.raises(RuntimeError, match="stop"), body(network).at_stride(3):
        raise RuntimeError("stop")
    assert torch.equal(network(degraded), usual)


def test_refinement_by_hand() -> None:
    network, degraded = build(stride=2, refinement=2), image(12, 70)
    first = build(stride=2)(degraded)
    again = []
    for number in range(2):
        drawn = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(number)) < 0.16
        mask = drawn[:, :12].repeat(1, 1, 2)[:, :, :70]
        again.append(body(network).blind(torch.where(mask, degraded, first)))
    torch.testing.assert_close(network(degraded), (again[0] + again[1]) / 2)


def test_the_pattern_of_a_tile_is_that_part_of_the_whole() -> None:
    whole = _pattern(0, torch.Size((1, 3, 150, 90)), None)
    assert 0.14 < float(whole.float().mean()) < 0.18
    place = networks.Place(70, 2 * _PERIOD - 40, 150, 90)
    part = _pattern(0, torch.Size((1, 3, 20, 2)), place)
    assert torch.equal(part, whole[:, 70:90, 88:90])
    assert not torch.equal(whole, _pattern(1, torch.Size((1, 3, 150, 90)), None))


@pytest.mark.parametrize("options", [{"stride": 1}, {"stride": 2}, {"stride": 2, "refinement": 3}])
def test_tiles_give_what_the_whole_gives(options: dict[str, int]) -> None:
    network = build(**options)
    with torch.no_grad():
        # results between 0 and 1, where nothing is clamped
        last = body(network).tail[-1]
        assert isinstance(last, nn.Conv2d)
        last.weight.mul_(0.3)
        assert last.bias is not None
        last.bias.fill_(0.5)
    info = ModelInfo(network=network.name, options=network.options)
    degraded = image(131, 97)
    whole = Restorer(network, info, "cpu", 2**34)
    per_pixel = network.spec.bytes_per_pixel * 1.5
    tiled = Restorer(network, info, "cpu", int(80 * 80 * per_pixel))
    assert len(whole.tiling(131, 97)) == 1
    assert len(tiled.tiling(131, 97)) > 2
    torch.testing.assert_close(tiled(degraded), whole(degraded), rtol=0, atol=1e-5)
    assert float(whole(degraded).std()) > 1e-3


def test_the_published_size() -> None:
    network = networks.build("blind-spot")
    assert network.options["width"] == 128
    # DBSNl of AP-BSN, with 128 channels and 9 blocks: 3.66 M parameters
    assert round(network.spec.parameters / 1e6, 2) == 3.66
