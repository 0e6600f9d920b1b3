"""Tiles of networks with windows, and of those that see the whole image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

import noiseda
from noiseda import checkpoint, networks
from noiseda.checkpoint import ModelInfo
from noiseda.errors import OptionError
from noiseda.networks import RestorationNetwork
from noiseda.restoration import Restorer
from noiseda.restoration.blending import Blending
from noiseda.restoration.tiling import Tiling
from tests.networks.small import image


def build(name: str, **options: Any) -> RestorationNetwork:
    torch.manual_seed(0)
    return networks.build(name, **options).eval()


def restorer(network: RestorationNetwork, memory: int) -> Restorer:
    return Restorer(network, ModelInfo(network=network.name, options={}), "cpu", memory)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dncnn", {"nc": 4, "nb": 8}),
        ("swinir", {"embed_dim": 4, "depths": (2,), "num_heads": (2,), "window_size": 4}),
        ("swinir", {"embed_dim": 4, "depths": (3, 2), "num_heads": (1, 2), "window_size": 3}),
    ],
)
def test_exact_tiles(name: str, options: dict[str, Any]) -> None:
    network = build(name, **options)
    degraded = 0.25 + 0.5 * image(1, 3, 150, 131)
    with torch.no_grad():
        # results between 0 and 1, where nothing is clamped
        whole = network(degraded)
        per_pixel = network.spec.bytes_per_pixel * 1.5
        tiled = restorer(network, int(90 * 90 * per_pixel))
        assert tiled.tiling(150, 131).exact
        assert len(tiled.tiling(150, 131)) > 2
        torch.testing.assert_close(tiled(degraded), whole.clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("window", [2, 3, 4, 8])
def test_receptive_radius_of_swinir(window: int) -> None:
    """Nothing beyond it changes a pixel; something near it does."""
    network = build("swinir", embed_dim=4, depths=(2, 2), num_heads=(1, 1), window_size=window)
    network = network.double()
    radius = network.spec.receptive_radius
    assert radius is not None
    length = -(-(2 * radius + 4 * window) // window) * window
    degraded = image(1, 3, window, length).double().requires_grad_()
    middle = network(degraded)[0, :, 0].sum(dim=0)
    farthest = 0
    start = length // 2 // window * window
    for position in range(start, start + window):
        (gradient,) = torch.autograd.grad(middle[position], degraded, retain_graph=True)
        # what is masked has a weight of e^-100
        touched = (gradient.abs().sum(dim=(0, 1, 2)) > 1e-30).nonzero().flatten()
        farthest = max(farthest, position - int(touched[0]), int(touched[-1]) - position)
    assert farthest == radius


SEES_ALL: list[tuple[str, dict[str, Any]]] = [
    ("nafnet", {"width": 4, "middle_blk_num": 1, "enc_blk_nums": (1,), "dec_blk_nums": (1,)}),
    ("restormer", {"dim": 4, "num_blocks": (1,) * 4, "heads": (1,) * 4}),
    ("uformer", {"embed_dim": 2, "depths": (1,) * 9, "num_heads": (1,) * 9, "win_size": 2}),
]


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        *((*SEES_ALL[0], size) for size in [(300, 290), (131, 700), (700, 129), (40, 1200)]),
        (*SEES_ALL[1], (171, 172)),
        (*SEES_ALL[2], (131, 190)),
    ],
)
def test_blended_tiles_of_a_network_that_changes_nothing(
    name: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    """Every pixel is there once, in its place, with weights that add up to 1."""
    network = build(name, **options)
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    tiled = restorer(network, int(170 * 170 * network.spec.bytes_per_pixel * 1.5))
    tiling = tiled.tiling(*size)
    assert not tiling.exact
    assert len(tiling) > 1
    for tile in tiling.tiles():
        inside = network.spec.padded(*tile.shape)
        assert inside[0] * inside[1] <= 170 * 170
    degraded = image(1, 3, *size)
    torch.testing.assert_close(tiled(degraded), degraded, rtol=0, atol=1e-6)
    pixels = (degraded[0].permute(1, 2, 0) * 255).round().byte().numpy()
    done: list[int] = []
    assert (tiled.pixels(pixels, advance=done.append) == pixels).all()
    assert sum(done) == size[0] * size[1]


def test_blended_tiles_are_near_to_the_whole() -> None:
    network = build("nafnet", **SEES_ALL[0][1])
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(std=0.1)
    degraded = 0.2 + 0.6 * image(1, 3, 400, 300)
    whole = restorer(network, 2**34)(degraded)
    tiled = restorer(network, int(170 * 170 * network.spec.bytes_per_pixel * 1.5))
    assert 1e-6 < float((tiled(degraded) - whole).abs().max()) < 0.1


def test_no_border_shows_between_blended_tiles() -> None:
    spec = build("nafnet", **SEES_ALL[0][1]).spec
    tiling = Tiling.plan(400, 300, spec, int(170 * 170 * spec.bytes_per_pixel * 1.5))
    result = torch.full((1, 3, 400, 300), torch.nan)

    def write(rows: tuple[int, int], columns: tuple[int, int], part: Tensor) -> None:
        result[..., slice(*rows), slice(*columns)] = part

    blending = Blending(tiling, write)
    tiles = list(tiling.tiles())
    # as if the network made each tile of one colour
    colours = torch.rand(len(tiles), generator=torch.Generator().manual_seed(0))
    for colour, tile in zip(colours, tiles, strict=True):
        blending.add(tile, colour.expand(1, 3, *tile.shape))
    for colour, tile in zip(colours, tiles, strict=True):
        row, column = (sum(core) // 2 for core in (tile.core_rows, tile.core_columns))
        assert torch.allclose(result[0, :, row, column], colour)
    assert spec.tile_margin is not None
    most = float(colours.max() - colours.min()) / spec.tile_margin
    for axis in (2, 3):
        assert 0 < float(result.diff(dim=axis).abs().max()) <= 1.01 * most


def test_too_little_memory_for_the_smallest_tile() -> None:
    spec = build("nafnet", **SEES_ALL[0][1]).spec
    with pytest.raises(OptionError, match="smallest tile of this network is 128×128 pixels"):
        Tiling.plan(1000, 1000, spec, int(100 * 100 * spec.bytes_per_pixel * 1.5))
    need = int(128 * 128 * spec.bytes_per_pixel * 1.5) + 1
    assert len(Tiling.plan(1000, 1000, spec, need)) > 100


def test_exact_tiles_first_then_blended_ones() -> None:
    spec = build("swinir", embed_dim=4, depths=(6, 6, 6), num_heads=(1, 1, 1)).spec
    assert spec.receptive_radius is not None
    side = 2 * spec.receptive_radius + 32
    assert side > 170
    for pixels, exact in ((side**2, True), (130**2, False)):
        tiling = Tiling.plan(1000, 1000, spec, int(pixels * spec.bytes_per_pixel * 1.5) + 1)
        assert tiling.exact == exact


def test_header_of_the_model_file_describes_the_network(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    network = build("nafnet", **SEES_ALL[0][1])
    checkpoint.save(path, network)
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["noiseda"])
    assert header["network"] == "nafnet"
    assert header["options"]["enc_blk_nums"] == [1]
    assert header["spec"]["tile_margin"] == 32
    assert noiseda.load(path, device="cpu").spec == network.spec
