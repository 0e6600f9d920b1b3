"""Every registered restoration network: sizes, gradients, model files, a training step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import noiseda
from noiseda import checkpoint, networks
from noiseda.adaptation.features import feature_shape
from noiseda.errors import OptionError
from noiseda.networks import BODIES
from noiseda.networks.resampling import pad
from tests.networks.small import SIZES, SMALL, VERSIONS, build, image, largest_difference

every_network = pytest.mark.parametrize(("name", "options"), VERSIONS)


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
