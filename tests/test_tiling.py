"""Tiles cover the image, keep to the budget and give what the whole image gives."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from noiseda import networks
from noiseda.checkpoint import ModelInfo
from noiseda.cli.options import parse_memory
from noiseda.errors import OptionError
from noiseda.networks import RestorationNetwork
from noiseda.restoration import Restorer, Tiling
from noiseda.restoration.tiling import _OVERHEAD

PLENTY = 2**36
SPECS = [
    networks.build("unet", width=1, depth=depth, upsampling=upsampling).spec
    for depth in (1, 2, 3, 4)
    for upsampling in ("aligned", "half-pixel")
]


def up(value: int, multiple: int) -> int:
    return math.ceil(value / multiple) * multiple


def margin(spec: networks.Spec) -> int:
    assert spec.receptive_radius is not None
    return up(spec.receptive_radius, spec.size_multiple)


def least_memory(plan: Callable[[int], object]) -> int:
    """The budget that the error about one byte asks for."""
    with pytest.raises(OptionError) as caught:
        plan(1)
    assert len(str(caught.value).splitlines()) == 1
    found = re.search(r"allow --memory (\w+)", str(caught.value))
    assert found
    needed = parse_memory(found[1])
    assert needed
    return needed


sides = st.one_of(st.integers(1, 40), st.integers(1, 1500))


@settings(max_examples=150)
@given(st.sampled_from(SPECS), sides, sides, st.floats(1, 400))
def test_tiles_cover_and_fit(spec: networks.Spec, height: int, width: int, share: float) -> None:
    multiple, radius = spec.size_multiple, spec.receptive_radius
    assert radius is not None
    per_pixel = spec.bytes_per_pixel * _OVERHEAD
    needed = least_memory(lambda memory: Tiling.plan(height, width, spec, memory))
    # what the error asks for is enough, and not for a tile larger than the smallest
    smallest = (multiple + 2 * margin(spec), up(height, multiple), up(width, multiple))
    least = min(smallest[0], smallest[1]) * min(smallest[0], smallest[2]) * per_pixel
    assert needed - 2**20 < least <= needed
    memory = int(needed * share)
    tiling = Tiling.plan(height, width, spec, memory)
    count = np.zeros((height, width), np.uint8)
    number = 0
    for tile in tiling.tiles():
        number += 1
        count[slice(*tile.core_rows), slice(*tile.core_columns)] += 1
        place = tile.place
        assert (place.top, place.left) == (tile.rows[0], tile.columns[0])
        assert (place.height, place.width) == (up(height, multiple), up(width, multiple))
        assert not any(part % multiple for part in (place.top, place.left))
        for read, core, size in (
            (tile.rows, tile.core_rows, height),
            (tile.columns, tile.core_columns, width),
        ):
            assert 0 <= read[0] <= core[0] < core[1] <= read[1] <= size
            # the image's own border, or farther than anything can matter, on a multiple
            assert read[0] == 0 or core[0] - read[0] >= radius
            assert read[1] == size or (read[1] - core[1] >= radius and read[1] % multiple == 0)
        computed = [up(stop - start, multiple) for start, stop in (tile.rows, tile.columns)]
        assert computed[0] * computed[1] * per_pixel <= memory
    assert (count == 1).all()
    assert number == len(tiling)
    if up(height, multiple) * up(width, multiple) * per_pixel <= memory:
        assert number == 1


@settings(max_examples=50)
@given(st.sampled_from(SPECS), sides, sides, st.floats(0, 0.99))
def test_below_the_smallest_tile(
    spec: networks.Spec, height: int, width: int, share: float
) -> None:
    side, wide = (
        min(up(size, spec.size_multiple), spec.size_multiple + 2 * margin(spec))
        for size in (height, width)
    )
    memory = int(side * wide * spec.bytes_per_pixel * _OVERHEAD * share)
    with pytest.raises(OptionError, match=f"smallest tile of this network is {wide}×{side} "):
        Tiling.plan(height, width, spec, memory)


def test_network_that_sees_everything_is_not_tiled() -> None:
    spec = replace(SPECS[0], receptive_radius=None)
    assert len(Tiling.plan(100, 300, spec, PLENTY)) == 1
    needed = least_memory(lambda memory: Tiling.plan(100, 300, spec, memory))
    assert len(Tiling.plan(100, 300, spec, needed)) == 1


def build(upsampling: str, depth: int = 3) -> RestorationNetwork:
    """With a residual that is large everywhere."""
    torch.manual_seed(5)
    network = networks.build("unet", width=4, depth=depth, upsampling=upsampling)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.6)
        network.state_dict()["body.last.bias"].zero_()
    return network


def restorer(network: RestorationNetwork, memory: int) -> Restorer:
    return Restorer(network, ModelInfo(network="unet", options=network.options), "cpu", memory)


def waves(height: int, width: int) -> Tensor:
    """An image that neither repeats nor is smooth, away from 0 and 1 so that nothing is clamped."""
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
    ramp = torch.linspace(0, 0.2, width) + torch.linspace(0, 0.2, height)[:, None]
    return 0.2 + 0.2 * noise + ramp


@pytest.mark.parametrize("upsampling", ["aligned", "half-pixel"])
@pytest.mark.parametrize(
    ("size", "depth"),
    [
        ((160, 200), 3),
        ((123, 157), 3),
        ((41, 300), 3),
        ((300, 29), 3),
        ((1, 250), 3),
        ((250, 3), 3),
        ((97, 63), 2),
        ((203, 410), 4),
    ],
)
def test_tiles_equal_the_whole(upsampling: str, size: tuple[int, int], depth: int) -> None:
    network = build(upsampling, depth)
    degraded = waves(*size)
    # with gradients: torch's own interpolation, no bands, no tiles
    whole = network(degraded).detach().clamp(0, 1)
    assert (whole - degraded).abs().max() > 1e-2
    needed = least_memory(lambda memory: Tiling.plan(*size, network.spec, memory))
    # the smallest tiles are too many where both sides are long
    budgets = [needed, 2 * needed] if min(size) < 50 else [3 * needed // 2, 2 * needed]
    for memory in budgets:
        limited = restorer(network, memory)
        assert len(limited.tiling(*size)) > 1
        assert (limited(degraded) - whole).abs().max() < 1e-5
    assert len(restorer(network, PLENTY).tiling(*size)) == 1
    assert (restorer(network, PLENTY)(degraded) - whole).abs().max() < 1e-5
    # integer pixels go another way through the tiles
    pixels = (degraded[0] * 65535).round().permute(1, 2, 0).numpy().astype(np.uint16)
    tiled = restorer(network, budgets[-1])(pixels).astype(int)
    assert np.abs(tiled - restorer(network, PLENTY)(pixels)).max() <= 1


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_tiles_of_a_mixture(strength: float) -> None:
    network = build("aligned")
    degraded = waves(40, 110)
    needed = least_memory(lambda memory: Tiling.plan(40, 110, network.spec, memory))
    expected = degraded + strength * (network(degraded).detach() - degraded)
    assert (restorer(network, needed)(degraded, strength) - expected).abs().max() < 1e-5


def test_aligned_corners_need_the_place() -> None:
    """Fails without `Place`: the sampling positions of a tile are not those of the whole."""
    degraded = waves(120, 160)
    spec = build("aligned").spec
    budget = 2 * least_memory(lambda memory: Tiling.plan(120, 160, spec, memory))
    wrong = {}
    for upsampling in ("aligned", "half-pixel"):
        network = build(upsampling)
        whole = network(degraded).detach()
        without = 0.0
        with torch.inference_mode():
            for tile in Tiling.plan(120, 160, network.spec, budget).tiles():
                part = degraded[..., slice(*tile.rows), slice(*tile.columns)]
                core = (
                    ...,
                    slice(tile.core_rows[0] - tile.rows[0], tile.core_rows[1] - tile.rows[0]),
                    slice(
                        tile.core_columns[0] - tile.columns[0],
                        tile.core_columns[1] - tile.columns[0],
                    ),
                )
                expected = whole[..., slice(*tile.core_rows), slice(*tile.core_columns)]
                assert (network(part, tile.place)[core] - expected).abs().max() < 1e-5
                without = max(without, float((network(part)[core] - expected).abs().max()))
        wrong[upsampling] = without
    assert wrong["aligned"] > 1e-4
    assert wrong["half-pixel"] < 1e-5


def test_kinds_of_images() -> None:
    model = restorer(build("aligned", 2), PLENTY)
    colour = waves(20, 30)
    expected = model(colour)[0].permute(1, 2, 0).numpy()
    array = np.ascontiguousarray(colour[0].permute(1, 2, 0).numpy())
    for kind, tolerance in ((np.float64, 1e-5), (np.float32, 1e-5), (np.float16, 3e-3)):
        result = model(array.astype(kind))
        assert result.dtype == kind
        assert np.abs(result - expected).max() < tolerance
    for kind in (np.uint8, np.uint16):
        most = np.iinfo(kind).max
        alpha = np.arange(600).reshape(20, 30, 1).astype(kind)
        given = np.concatenate([(array * most).round().astype(kind), alpha], axis=2)
        result = model(given)
        assert result.dtype == kind
        assert np.array_equal(result[:, :, 3:], alpha)
        assert np.abs(result[:, :, :3] / most - expected).max() < 4 / most + 1e-5
        assert np.array_equal(result[:, :, :3], model(given[:, :, :3]))
    gray = (array[:, :, 0] * 255).round().astype(np.uint8)
    thrice = model(np.repeat(gray[:, :, None], 3, axis=2))
    assert np.array_equal(model(gray), np.rint(thrice.mean(axis=2)))
    assert np.array_equal(model(gray[:, :, None])[:, :, 0], model(gray))
    assert model(np.full((1, 1), 7, np.uint8)).shape == (1, 1)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), "H×W×3"),
        (np.zeros((0, 4, 3), np.uint8), "H×W×3"),
        (np.zeros((4, 4, 3), np.int32), "uint8"),
        (np.full((4, 4, 3), 128.0), r"\[0, 1\]"),
        (np.full((4, 4, 3), np.nan), r"\[0, 1\]"),
        (torch.zeros(3, 4, 4), "B×3×H×W"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "floating-point"),
        (torch.zeros(1, 3, 0, 4), "empty"),
        ([[0.5]], "numpy or torch"),
    ],
)
def test_wrong_images(image: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        restorer(build("aligned", 1), PLENTY)(image)


def test_wrong_options() -> None:
    network = build("aligned", 1)
    for strength in (-0.1, 1.1, math.nan):
        with pytest.raises(OptionError, match="strength"):
            restorer(network, PLENTY)(waves(4, 4), strength)
        with pytest.raises(OptionError, match="strength"):
            restorer(network, PLENTY).pixels(np.zeros((4, 4, 3), np.uint8), strength)
    info = ModelInfo(network="unet", options=network.options)
    for device in ("abacus", "cuda:99", "meta"):
        with pytest.raises(OptionError, match=device) as caught:
            Restorer(network, info, device)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(OptionError, match="allow --memory"):
        restorer(network, 1)(waves(40, 40))
