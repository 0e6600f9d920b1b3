"""Every registered restoration network: sizes, gradients, receptive radius, bands, options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import noiseda
from noiseda import checkpoint, networks, runtime
from noiseda.adaptation.features import feature_shape
from noiseda.errors import OptionError
from noiseda.networks import BODIES, Place, RestorationNetwork
from noiseda.networks.resampling import pad, upsample

# for each registered network small versions of it, of all its kinds
SMALL: dict[str, list[dict[str, Any]]] = {
    "unet": [
        {"width": 4, "depth": 4, "upsampling": "aligned"},
        {"width": 2, "depth": 3, "upsampling": "half-pixel"},
        {"width": 3, "depth": 2, "upsampling": "aligned", "value_range": "signed"},
        {"width": 3, "depth": 1},
    ],
    "blind-spot": [
        {"width": 16, "depth": 2, "stride": 1},
        {"width": 16, "depth": 1, "stride": 2, "refinement": 2, "value_range": "signed"},
    ],
    "dncnn": [{"nc": 8, "nb": 8}, {"nc": 8, "nb": 9, "act_mode": "BR"}],
    "nafnet": [
        {"width": 4, "middle_blk_num": 1, "enc_blk_nums": (1, 2), "dec_blk_nums": (1, 1)},
    ],
    "restormer": [
        {"dim": 4, "num_blocks": (1,) * 4, "num_refinement_blocks": 1, "heads": (1, 2, 2, 2)},
        {
            "dim": 4,
            "num_blocks": (1,) * 4,
            "num_refinement_blocks": 1,
            "heads": (1,) * 4,
            "bias": True,
            "layer_norm": "BiasFree",
            "value_range": "signed",
        },
    ],
    "swinir": [
        {"embed_dim": 6, "depths": (2, 2), "num_heads": (2, 3), "window_size": 4},
        {
            "embed_dim": 8,
            "depths": (3,),
            "num_heads": (2,),
            "window_size": 3,
            "resi_connection": "3conv",
            "img_range": 2.0,
            "value_range": "signed",
        },
    ],
    "uformer": [
        {"embed_dim": 4, "depths": (1,) * 9, "num_heads": (1,) * 9, "win_size": 2},
        {
            "embed_dim": 4,
            "depths": (2,) + (1,) * 8,
            "num_heads": (2,) * 9,
            "win_size": 2,
            "token_mlp": "mlp",
            "modulator": False,
        },
    ],
    "spandrel": [
        {
            "architecture": "Compact",
            "hyperparameters": {"num_feat": 8, "num_conv": 2, "upscale": 1},
        },
    ],
}
VERSIONS = [
    pytest.param(name, options, id=f"{name}-{number}")
    for name, kinds in SMALL.items()
    for number, options in enumerate(kinds, 1)
]
every_network = pytest.mark.parametrize(("name", "options"), VERSIONS)
every_unet = pytest.mark.parametrize(
    ("name", "options"), [version for version in VERSIONS if version.values[0] == "unet"]
)
SIZES = [(1, 1), (1, 37), (37, 1), (7, 5), (13, 22), (24, 16)]


def build(name: str, options: dict[str, Any], seed: int = 0) -> RestorationNetwork:
    """With weights large enough that a residual is far above rounding, and none that are zero."""
    torch.manual_seed(seed)
    network = networks.build(name, **options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
            if not parameter.any():
                parameter.normal_(std=0.2)
    return network.eval()


def image(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def largest_difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max())


def test_no_network_is_left_out() -> None:
    assert SMALL.keys() == set(BODIES.names)


@every_network
def test_any_size(name: str, options: dict[str, Any]) -> None:
    network = build(name, options)
    for height, width in SIZES:
        degraded = image(2, 3, height, width)
        restored = network(degraded)
        assert restored.shape == degraded.shape
        assert torch.isfinite(restored).all()
        assert largest_difference(restored, degraded) > 1e-4, "it must do something"
        # one image of a batch does not depend on the others
        rounding = 1e-5 * max(1.0, float(restored.detach().abs().max()))
        assert largest_difference(restored[:1], network(degraded[:1])) < 3 * rounding


@pytest.mark.parametrize("size", SIZES)
def test_padding_is_reflection_at_bottom_and_right(size: tuple[int, int]) -> None:
    small = image(2, 3, *size)
    below, right = (-size[0] % 8, -size[1] % 8)
    expected = np.pad(small.numpy(), ((0, 0), (0, 0), (0, below), (0, right)), mode="reflect")
    assert np.array_equal(pad(small, size[0] + below, size[1] + right).numpy(), expected)


@every_network
@pytest.mark.parametrize("size", [(1, 1), (11, 19)])
def test_gradients_reach_everything(
    name: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    # with batch normalisation a bias before it has no effect in training, and no gradient
    network = build(name, options).train(options.get("act_mode") != "BR")
    degraded = image(2, 3, *size).requires_grad_()
    network(degraded).square().mean().backward()
    if name == "blind-spot" and size == (1, 1):
        # a pixel without neighbours shows it nothing; with a stride it has mirrored ones
        assert degraded.grad is not None
        assert degraded.grad.any() == (options["stride"] > 1)
        return
    assert degraded.grad is not None
    assert degraded.grad.abs().min() > 0
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().max() > 0, key


@every_network
def test_rebuilt_from_options_and_state(name: str, options: dict[str, Any]) -> None:
    network = build(name, options)
    other = networks.build(network.name, **network.options).eval()
    degraded = image(1, 3, 21, 14)
    assert largest_difference(network(degraded), other(degraded)) > 1e-4
    other.load_state_dict(network.state_dict(), strict=True)
    assert torch.equal(network(degraded), other(degraded))
    assert other.spec == network.spec
    assert network.spec.parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "options"), [version for version in VERSIONS if version.values[0] != "blind-spot"]
)
def test_input_is_added_once(name: str, options: dict[str, Any]) -> None:
    network = build(name, options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    # those of the zoo add it themselves, where it may have been scaled
    tolerance = 0 if name == "unet" else 1e-6
    for size in SIZES:
        degraded = image(1, 3, *size)
        assert largest_difference(network(degraded), degraded) <= tolerance
        with torch.inference_mode():
            assert largest_difference(network(degraded), degraded) <= tolerance


@every_network
def test_model_file(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    network = build(name, options)
    checkpoint.save(tmp_path / "model.safetensors", network)
    restorer = noiseda.load(tmp_path, device="cpu")
    assert restorer.spec == network.spec
    assert restorer.info.network == name
    degraded = image(2, 3, 19, 23)
    with torch.inference_mode():
        restored = network(degraded)
        rounding = 1e-5 * max(1.0, float(restored.abs().max()))
        assert largest_difference(restorer(degraded), restored.clamp(0, 1)) < 3 * rounding


PREDICTOR = {"name": "guided", "base": 4, "multipliers": [1, 2], "blocks": 1, "head_channels": 4}


@every_network
@pytest.mark.parametrize("objective", ["vanilla", "noise-space"])
def test_training_step(name: str, options: dict[str, Any], objective: str) -> None:
    network = build(name, options).train()
    chosen = {"predictor": PREDICTOR} if objective == "noise-space" else {}
    loss_of = noiseda.adaptation.build(objective, **chosen)
    loss_of.attach(network)
    roles = ("clean", "synthetic", "real")
    batch = {role: image(2, 3, 16, 16, seed=seed) for seed, role in enumerate(roles)}
    optimizer = torch.optim.Adam([*network.parameters(), *loss_of.parameters()], lr=1e-3)
    before = {key: value.clone() for key, value in network.named_parameters()}
    terms = loss_of(network, batch, progress=0.5, random=torch.Generator().manual_seed(0))
    terms["loss"].backward()
    optimizer.step()
    assert torch.isfinite(terms["loss"])
    changed = [key for key, value in network.named_parameters() if (value != before[key]).any()]
    assert len(changed) > 0.9 * len(before)
    assert all(torch.isfinite(value).all() for value in network.parameters())


@every_network
def test_features_for_objectives_that_compare_domains(name: str, options: dict[str, Any]) -> None:
    network = build(name, options).train()
    if name == "spandrel":
        assert network.feature_layer is None
        return
    if options.get("refinement"):
        # several passes, several maps
        return
    shape = feature_shape(network)
    assert shape.channels > 0
    assert network.training


@every_network
def test_built_without_memory(name: str, options: dict[str, Any]) -> None:
    with networks.without_memory():
        empty = networks.build(name, **options)
    assert all(weight.is_meta for weight in empty.parameters())
    full = networks.build(name, **options)
    shapes = {key: value.shape for key, value in full.state_dict().items()}
    assert {key: value.shape for key, value in empty.state_dict().items()} == shapes
    assert networks.macs(empty, 32) > 1000


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


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unett", {}, "did you mean 'unet'"),
        ("gan", {}, "known: blind-spot, dncnn, nafnet"),
        ("unet", {"widht": 4}, "did you mean 'width'"),
        ("unet", {"width": 4, "upsample": "aligned"}, "did you mean 'upsampling'"),
        ("unet", {"value_range": "sgined"}, "did you mean 'signed'"),
        ("unet", {"upsampling": "nearest"}, "'half-pixel'"),
        ("unet", {"width": 0}, "width"),
        ("unet", {"width": "many"}, "width"),
        ("unet", {"depth": 9}, "depth"),
    ],
)
def test_wrong_options(name: str, options: dict[str, Any], message: str) -> None:
    for function in (networks.build, networks.check):
        with pytest.raises(OptionError) as caught:
            function(name, **options)
        assert message in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 4, 8, 8)])
def test_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="B×3×H×W"):
        networks.build("unet", width=1, depth=1)(torch.zeros(shape))
