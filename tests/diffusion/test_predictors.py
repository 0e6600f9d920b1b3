"""The noise predictors: parity with the published ones, sizes, gradients, weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from noiseda import diffusion
from noiseda.errors import ModelFileError, OptionError

PARITY = Path(__file__).parents[1] / "parity"
KINDS = ["guided", "sr3"]
# what the shapes of the fixtures' weights do not tell
UNSEEN: dict[str, dict[str, Any]] = {"guided": {"head_channels": 16}, "sr3": {"groups": 4}}
SMALL: dict[str, Any] = {"base": 16, "multipliers": (1, 2), "blocks": 1, "attention": (2,)}


def fixture(kind: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    tensors = load_file(PARITY / f"diffusion_{kind}.safetensors")
    prefix = "weight."
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    return weights, tensors


def published(kind: str) -> nn.Module:
    weights, _ = fixture(kind)
    name, options = diffusion.infer(weights, **UNSEEN[kind])
    assert name == kind
    network = diffusion.build(name, **options)
    network.load_state_dict(weights, strict=True)
    return network.eval()


def awake(network: nn.Module) -> nn.Module:
    """The network with every weight moved away from its (possibly zero) start."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return network


def on_meta(kind: str, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return diffusion.build(kind, **options)


# ---------------------------------------------------------------- predictors: the published numbers


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_published_weights_give_the_published_output(kind: str, layout: torch.memory_format):
    _, tensors = fixture(kind)
    network = published(kind).to(memory_format=layout)
    result = network(tensors["input"].contiguous(memory_format=layout), tensors["noise_level"])
    error = (result - tensors["output"]).abs().max().item()
    # the double-precision result itself is 3e-6 away from the fixture
    assert error < 1e-5, f"{kind}: largest error {error:.2e}"
    assert result.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_mixed_precision_stays_close(kind: str):
    _, tensors = fixture(kind)
    network = published(kind)
    with torch.autocast("cpu", torch.bfloat16):
        result = network(tensors["input"], tensors["noise_level"])
    assert (result.float() - tensors["output"]).abs().max() < 0.15


@pytest.mark.parametrize(
    ("kind", "millions", "gmacs"), [("guided", 62.6, 51.5), ("sr3", 60.7, 45.5)]
)
def test_defaults_have_the_size_of_the_paper(kind: str, millions: float, gmacs: float):
    network = on_meta(kind).eval()
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad(), counter:
        network(torch.empty(1, 9, 128, 128), torch.empty(1, 1))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert round(parameters / 1e6, 1) == millions
    assert round(counter.get_total_flops() / 2e9, 1) == gmacs


# ------------------------------------------------------------------------- predictors: construction


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_last_convolutions_start_at_zero(kind: str):
    network = diffusion.build(kind, **SMALL).eval()
    endings = {
        "guided": (".out_layers.3.weight", ".proj_out.weight", "out.2.weight"),
        "sr3": (".block2.block.3.weight", ".attn.out.weight", "final_conv.block.3.weight"),
    }[kind]
    found = dict.fromkeys(endings, 0)
    for key, parameter in network.named_parameters():
        for ending in endings:
            if key.endswith(ending):
                found[ending] += 1
                assert not parameter.any(), key
    # 2 levels of 1 block down and 2 up, 2 in the middle, and in "guided" 2 that resample; attention
    # after the 3 blocks of one level and once in the middle
    assert list(found.values()) == [10 if kind == "guided" else 8, 4, 1]
    assert not network(torch.randn(2, 9, 16, 16), torch.rand(2, 1)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_an_attention_rate_without_a_level_is_an_error(kind: str):
    # the faulty setting: four levels end at rate 8
    with pytest.raises(OptionError, match=r"rate 16 .* choose among 1, 2, 4, 8"):
        on_meta(kind, attention=(16,))
    with pytest.raises(OptionError, match=r"rate 3 .* choose among 1, 2$"):
        on_meta(kind, **{**SMALL, "attention": (2, 3)})


@pytest.mark.parametrize("kind", KINDS)
def test_attention_sits_at_its_rates(kind: str):
    def count(*rates: int) -> int:
        state = on_meta(kind, **{**SMALL, "attention": rates}).state_dict()
        return sum(key.endswith("qkv.weight") for key in state)

    assert [count(), count(1), count(2), count(1, 2)] == [1, 4, 4, 7]


def test_heads_and_groups_must_divide_their_layers():
    with pytest.raises(OptionError, match=r"head_channels=32 does not divide .* 48 channels"):
        on_meta("guided", base=24, multipliers=(1, 2))
    with pytest.raises(OptionError, match="groups=32 does not divide a layer of 16 channels"):
        on_meta("sr3", base=16, groups=32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_that_does_not_divide_is_an_error(kind: str):
    network = on_meta(kind)
    assert network.size_multiple == 8
    with pytest.raises(OptionError, match=r"patch of 100×64 .* multiple of 8"):
        network(torch.empty(1, 9, 100, 64, device="meta"), torch.empty(1, 1, device="meta"))


# ----------------------------------------------------------------------------- predictors: training


# no layer of 32 channels for "guided": the published 32 groups of one channel each undo biases
@pytest.mark.parametrize(("kind", "base"), [("guided", 6), ("guided", 8), ("sr3", 6), ("sr3", 32)])
def test_gradient_reaches_every_parameter_and_the_conditions(kind: str, base: int):
    network = awake(diffusion.build(kind, **{**SMALL, "base": base}))
    images = torch.randn(2, 9, 12, 8, requires_grad=True)
    network(images, torch.tensor([[0.9], [0.3]])).square().mean().backward()
    # rounding alone leaves gradients of about 1e-9 on what has no effect
    idle = [
        key
        for key, parameter in network.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() < 1e-6
    ]
    assert not idle
    assert images.grad is not None
    assert (images.grad[:, 3:].abs().amax(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_network_learns(kind: str):
    torch.manual_seed(0)
    network = diffusion.build(kind, **SMALL, dropout=0)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    clean, noise = torch.rand(4, 3, 16, 16), torch.randn(4, 3, 16, 16)
    gamma = torch.tensor([[0.1], [0.3], [0.6], [0.9]])
    images = torch.cat([diffusion.Schedule.noisy(clean, gamma, noise), clean, clean], dim=1)
    losses = []
    for _ in range(30):
        loss = (network(images, gamma) - noise).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(noise.square().mean().item(), rel=1e-5)
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_noise_level_matters(kind: str):
    network = awake(diffusion.build(kind, **SMALL)).eval()
    images = torch.randn(1, 9, 8, 8).expand(2, -1, -1, -1)
    low, high = network(images, torch.tensor([[0.1], [0.9]]))
    assert (low - high).abs().max() > 1e-3


# -------------------------------------------------------------------------- reading published files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"base": 24, "multipliers": (2, 1, 3), "blocks": 3, "attention": (1, 4)},
        {"base": 16, "multipliers": (1,), "blocks": 1, "attention": (), "in_channels": 6},
        {"base": 8, "multipliers": (2, 2, 2), "attention": (2,), "out_channels": 1},
    ],
)
def test_options_are_read_from_the_shapes(kind: str, options: dict[str, Any]):
    known = {"head_channels": 8} if kind == "guided" and options else {}
    network = on_meta(kind, **options, **known)
    name, read = diffusion.infer(network.state_dict())
    assert name == kind
    complete = diffusion.PREDICTORS.options(kind, options)
    if complete["attention"] is None:
        complete["attention"] = (8,)
    for unseen in ("groups", "head_channels"):
        complete.pop(unseen, None)
    assert {key: read[key] for key in complete} == complete
    on_meta(name, **read).load_state_dict(network.state_dict(), strict=True)


def test_options_without_a_trace_follow_the_rule_or_the_caller():
    guided, sr3 = fixture("guided")[0], fixture("sr3")[0]
    assert diffusion.infer(guided)[1]["head_channels"] == 32
    assert diffusion.infer(sr3)[1]["groups"] == 4
    assert diffusion.infer(sr3, groups=2, dropout=0.0)[1]["groups"] == 2
    assert diffusion.infer(on_meta("sr3").state_dict())[1]["groups"] == 32
    with pytest.raises(ModelFileError, match="do not fit"):
        diffusion.infer(sr3, base=16)
    with pytest.raises(OptionError, match="head_channels"):
        diffusion.infer(sr3, head_channels=16)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_weights_are_refused(kind: str):
    weights, _ = fixture(kind)
    with pytest.raises(ModelFileError, match="no known noise predictor"):
        diffusion.infer({f"denoise_fn.{key}": value for key, value in weights.items()})
    for key in weights:
        with pytest.raises(ModelFileError):
            diffusion.infer({k: v for k, v in weights.items() if k != key})
